// Softmax over the classes, in plain loops that a compiler turns into vector instructions.

#pragma once

#include <algorithm>
#include <cstdint>

constexpr long BLOCK = 256;

template <typename T> struct Precision;
template <> struct Precision<float> {
    using Bits = uint32_t;
    static constexpr float round = 0x1.8p23f, lowest = -87.0f;
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr int mantissa = 23, terms = 7;
};
template <> struct Precision<double> {
    using Bits = uint64_t;
    static constexpr double round = 0x1.8p52, lowest = -708.0;
    static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
    static constexpr int mantissa = 52, terms = 13;
};

// exp(x) for x <= 0, and 0 where that is no normal number: 2^n times the Taylor series of what is left of x.
template <typename T> inline T exponential(T x) {
    using P = Precision<T>;
    using Bits = typename P::Bits;
    constexpr T inverse[] = {1.0,           1.0,           1.0 / 2,        1.0 / 6,         1.0 / 24,
                             1.0 / 120,     1.0 / 720,     1.0 / 5040,     1.0 / 40320,     1.0 / 362880,
                             1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    const T shifted = x * T(1.4426950408889634) + P::round;  // the integer n is in its last bits
    const T n = shifted - P::round;
    const T rest = (x - n * P::ln2_high) - n * P::ln2_low;
    T series = inverse[P::terms];
    for (int i = P::terms - 1; i >= 0; --i) series = series * rest + inverse[i];
    const Bits exponent = __builtin_bit_cast(Bits, shifted) << P::mantissa;
    const T result = __builtin_bit_cast(T, Bits(__builtin_bit_cast(Bits, series) + exponent));
    return x < P::lowest ? T(0) : result;
}

// Softmax of up to BLOCK pixels; the classes lie `from` apart in the logits and `to` apart in probs.
template <typename T>
void softmax_block(const T* logits, long from, T* probs, long to, long classes, long width) {
    T high[BLOCK], total[BLOCK];
    for (long x = 0; x < width; ++x) high[x] = logits[x], total[x] = 0;
    for (long k = 1; k < classes; ++k) {
        const T* in = logits + k * from;
#pragma omp simd
        for (long x = 0; x < width; ++x) high[x] = in[x] > high[x] ? in[x] : high[x];
    }
    for (long k = 0; k < classes; ++k) {
        const T* in = logits + k * from;
        T* out = probs + k * to;
#pragma omp simd
        for (long x = 0; x < width; ++x) {
            const T e = exponential(in[x] - high[x]);
            out[x] = e;
            total[x] += e;
        }
    }
    for (long x = 0; x < width; ++x) total[x] = 1 / total[x];
    for (long k = 0; k < classes; ++k) {
        T* out = probs + k * to;
#pragma omp simd
        for (long x = 0; x < width; ++x) out[x] *= total[x];
    }
}

// The same for a few classes, whose numbers then stay in registers.
template <long K, typename T> void softmax_few(const T* logits, long from, T* probs, long to, long width) {
#pragma omp simd
    for (long x = 0; x < width; ++x) {
        T each[K], high = logits[x], total = 0;
        for (long k = 1; k < K; ++k) high = logits[k * from + x] > high ? logits[k * from + x] : high;
        for (long k = 0; k < K; ++k) total += each[k] = exponential(logits[k * from + x] - high);
        const T share = 1 / total;
        for (long k = 0; k < K; ++k) probs[k * to + x] = each[k] * share;
    }
}

// Softmax of n pixels.
template <typename T> void softmax(const T* logits, long from, T* probs, long to, long classes, long n) {
    switch (classes) {
        case 2: return softmax_few<2>(logits, from, probs, to, n);
        case 3: return softmax_few<3>(logits, from, probs, to, n);
        case 4: return softmax_few<4>(logits, from, probs, to, n);
        case 5: return softmax_few<5>(logits, from, probs, to, n);
    }
    for (long start = 0; start < n; start += BLOCK)
        softmax_block(logits + start, from, probs + start, to, classes, std::min(BLOCK, n - start));
}

enum Kind : long { PROBABILITIES, LOGITS, LABELS };

// The probabilities of n pixels, from any kind of input; labels are one number a pixel.
template <typename T>
void probabilities(const T* input, long from, T* probs, long to, long classes, long n, long kind) {
    if (kind == LOGITS) return softmax(input, from, probs, to, classes, n);
    for (long k = 0; k < classes; ++k) {
        T* out = probs + k * to;
        if (kind == PROBABILITIES) std::copy(input + k * from, input + k * from + n, out);
        else
#pragma omp simd
            for (long x = 0; x < n; ++x) out[x] = input[x] == T(k);
    }
}
