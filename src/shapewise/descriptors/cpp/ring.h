// How the kernel walks through an image: in tasks, each with the probabilities of three planes at hand.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "softmax.h"

constexpr long PLANES = 64, RING_BYTES = 768 * 1024;  // of a task; three planes fit a core's second-level cache

struct Size {
    long batch, classes, first, planes, rows, columns, kind;
    long objects() const { return classes - first; }
    long plane() const { return rows * columns; }
    long pixels() const { return planes * rows * columns; }
};

struct Neighbours {
    double weight[3][3][3];  // (plane, row, column) steps of -1, 0, 1; all zero for no length
    bool any(long plane, long row) const {
        const double* w = weight[plane + 1][row + 1];
        return w[0] != 0 || w[1] != 0 || w[2] != 0;
    }
    Neighbours earlier() const {  // of every pair that which comes first
        Neighbours half = *this;
        double* flat = &half.weight[0][0][0];
        std::fill(flat + 13, flat + 27, 0.0);
        return half;
    }
};

struct Task {
    long image, first_plane, last_plane, first_row, last_row;
};

// Cut the images into tasks, by their size alone.
template <typename T> std::vector<Task> tasks(const Size& size) {
    const long fit = RING_BYTES / long(3 * sizeof(T) * size.classes * size.columns);
    const long band = std::max(1L, std::min(size.rows, std::max(8L, fit) - 2));
    std::vector<Task> all;
    for (long image = 0; image < size.batch; ++image)
        for (long plane = 0; plane < size.planes; plane += PLANES)
            for (long row = 0; row < size.rows; row += band)
                all.push_back({image, plane, std::min(plane + PLANES, size.planes), row,
                               std::min(row + band, size.rows)});
    return all;
}

// The probabilities of three planes of a band, with a row more on either side.
//
// Rows begin and end at vector boundaries, and there is room on both sides: loops run over whole vectors, and a
// pixel at the border may look one column further.
template <typename T> class Ring {
public:
    static constexpr long VECTOR = 64 / sizeof(T);
    const long width;  // of a row in whole vectors

    Ring(const T* input, const Size& size, const Task& task)
        : width((size.columns + VECTOR - 1) / VECTOR * VECTOR),
          size(size), low(std::max(0L, task.first_row - 1)), high(std::min(size.rows, task.last_row + 1)) {
        static thread_local std::vector<T> storage;
        stride = width + VECTOR;
        area = (high - low) * stride;
        storage.resize(3 * size.classes * area + 2 * VECTOR);
        const uintptr_t address = reinterpret_cast<uintptr_t>(storage.data());
        start = storage.data() + VECTOR + (64 - address % 64) % 64 / sizeof(T);
        const long channels = size.kind == LABELS ? 1 : size.classes;
        source = input + task.image * channels * size.pixels();
    }
    void fill(long plane) {
        if (plane < 0 || plane >= size.planes) return;
        for (long row = low; row < high; ++row)
            probabilities(source + plane * size.plane() + row * size.columns, size.pixels(),
                          this->row(plane, 0, row), area, size.classes, size.columns, size.kind);
    }
    bool has(long plane, long row) const {
        return plane >= 0 && plane < size.planes && row >= 0 && row < size.rows;
    }
    T* row(long plane, long k, long row) const {
        return start + ((plane + 3) % 3 * size.classes + k) * area + (row - low) * stride;
    }

private:
    const Size& size;
    const T* source;
    T* start;
    long stride, area, low, high;
};

struct Cut {  // w |difference|
    template <typename T> static T of(T difference, T weight) { return weight * std::abs(difference); }
};

struct Pull {  // w sign(difference)
    template <typename T> static T of(T difference, T weight) {
        return difference == 0 ? T(0) : std::copysign(weight, difference);
    }
};

// Add to every pixel of a row what its neighbours in another do: one column before, beside, one column after.
template <typename Term, typename T>
void compare(const T* here, T* other, const double* weights, T* out, long columns, long width) {
    const T before = weights[0], beside = weights[1], after = weights[2];
    other[-1] = here[0], other[columns] = here[columns - 1];  // beyond the border there is no difference
    if (beside != 0) {
#pragma omp simd
        for (long x = 0; x < width; ++x)
            out[x] += Term::of(here[x] - other[x - 1], before) + Term::of(here[x] - other[x], beside) +
                      Term::of(here[x] - other[x + 1], after);
    } else if (after != 0) {
#pragma omp simd
        for (long x = 0; x < width; ++x)
            out[x] += Term::of(here[x] - other[x - 1], before) + Term::of(here[x] - other[x + 1], after);
    } else {
#pragma omp simd
        for (long x = 0; x < width; ++x) out[x] += Term::of(here[x] - other[x - 1], before);
    }
}

// Write the same for all neighbouring rows that `near` has weights for.
template <typename Term, typename T>
void compare_all(const Ring<T>& ring, const Neighbours& near, long plane, long k, long row, T* out,
                 long columns) {
    const T* here = ring.row(plane, k, row);
    std::fill(out, out + ring.width, T(0));
    for (long dz = -1; dz <= 1; ++dz)
        for (long dy = -1; dy <= 1; ++dy)
            if (near.any(dz, dy) && ring.has(plane + dz, row + dy))
                compare<Term>(here, ring.row(plane + dz, k, row + dy), near.weight[dz + 1][dy + 1], out, columns,
                              ring.width);
}
