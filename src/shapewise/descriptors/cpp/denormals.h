// Numbers too small for a normal float count as 0: a processor takes a hundred times as long over them, and
// gradients of pixels that are far from any doubt are full of them.

#pragma once

#ifdef __SSE__
#include <xmmintrin.h>
#endif

// While it lives, in its own thread.
class NoDenormals {
#ifdef __SSE__
public:
    NoDenormals() : before(_mm_getcsr()) { _mm_setcsr(before | FLUSH_TO_ZERO | DENORMALS_ARE_ZERO); }
    ~NoDenormals() { _mm_setcsr(before); }

private:
    static constexpr unsigned FLUSH_TO_ZERO = 0x8000, DENORMALS_ARE_ZERO = 0x0040;
    const unsigned before;
#endif
};
