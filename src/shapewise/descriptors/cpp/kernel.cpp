// Volume, centroid, spread, moments and length of every class: from logits or probabilities and back.
// The search of a projection is in newton.h.
//
// A 3-D image is (planes, rows, columns); a 2-D one is a stack of planes of one row. A task walks through some
// planes of a band of rows and keeps the probabilities of the last three in a cache: no array of an image's
// size is made but the gradient. What a task adds up is kept apart and summed in the tasks' order, so the
// number of threads does not change a digit.

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "denormals.h"
#include "moments.h"
#include "newton.h"
#include "ring.h"

namespace {

// Sums of s x^q over a row, q = 0 ... order.
template <typename T> void row_sums(const T* row, const double* x, long columns, long order, double* sums) {
    double s0 = 0, s1 = 0, s2 = 0;
#pragma omp simd reduction(+ : s0, s1, s2)
    for (long i = 0; i < columns; ++i) {
        double s = row[i], sx = s * x[i];
        s0 += s, s1 += sx, s2 += sx * x[i];
    }
    sums[0] = s0, sums[1] = s1, sums[2] = s2;
    for (long q = 3; q <= order; ++q) {
        double sum = 0;
#pragma omp simd reduction(+ : sum)
        for (long i = 0; i < columns; ++i) {
            double power = row[i];
            for (long p = 0; p < q; ++p) power *= x[i];
            sum += power;
        }
        sums[q] = sum;
    }
}

// One task's raw moments and length of each object, (objects, count + 1).
template <typename T>
void sum_task(const T* input, const Size& size, const Moments& moments, const Neighbours* near,
              const Task& task, double* out) {
    Ring<T> ring(input, size, task);
    double along[MAX_ORDER + 1], down[MAX_ORDER + 1], deep[MAX_ORDER + 1];
    static thread_local std::vector<T> cuts;
    cuts.resize(ring.width);
    const Neighbours earlier = near ? near->earlier() : Neighbours{};
    if (near) ring.fill(task.first_plane - 1);
    for (long plane = task.first_plane; plane < task.last_plane; ++plane) {
        ring.fill(plane);
        powers_of(moments.coordinates[0][plane], moments.order, deep);
        for (long k = size.first; k < size.classes; ++k) {
            double* sums = out + (k - size.first) * (moments.count + 1);
            for (long row = task.first_row; row < task.last_row; ++row) {
                const T* here = ring.row(plane, k, row);
                powers_of(moments.coordinates[1][row], moments.order, down);
                row_sums(here, moments.coordinates[2], size.columns, moments.order, along);
                for (long m = 0; m < moments.count; ++m) {
                    const long* p = moments.power(m);
                    sums[m] += deep[p[0]] * down[p[1]] * along[p[2]];
                }
                if (!near) continue;
                compare_all<Cut>(ring, earlier, plane, k, row, cuts.data(), size.columns);
                double length = 0;
#pragma omp simd reduction(+ : length)
                for (long x = 0; x < size.columns; ++x) length += cuts[x];
                sums[moments.count] += length;
            }
        }
    }
}

// Write the gradient of one row of one class in its probabilities.
template <typename T>
void row_gradient(const T* u, const double* along, long order, T length, const T* slope, T* out, long columns) {
    const T a0 = along[0], a1 = along[1], a2 = order > 1 ? along[2] : 0;
    if (length == 0)
#pragma omp simd
        for (long x = 0; x < columns; ++x) out[x] = a0 + u[x] * (a1 + u[x] * a2);
    else
#pragma omp simd
        for (long x = 0; x < columns; ++x) out[x] = a0 + u[x] * (a1 + u[x] * a2) + length * slope[x];
    for (long q = 3; q <= order; ++q) {
        const T a = along[q];
#pragma omp simd
        for (long x = 0; x < columns; ++x) {
            T power = a;
            for (long p = 0; p < q; ++p) power *= u[x];
            out[x] += power;
        }
    }
}

// Softmax's Jacobian: s_k (g_k - sum over the classes of s g), where g is 0 before the first object.
template <typename T>
void through_softmax(const Ring<T>& ring, const Size& size, long plane, long row, const T* g, T* dot, T* out) {
    const long columns = size.columns;
    std::fill(dot, dot + columns, T(0));
    for (long k = size.first; k < size.classes; ++k) {
        const T *probs = ring.row(plane, k, row), *of = g + (k - size.first) * columns;
#pragma omp simd
        for (long x = 0; x < columns; ++x) dot[x] += probs[x] * of[x];
    }
    for (long k = 0; k < size.classes; ++k, out += size.pixels()) {
        const T *probs = ring.row(plane, k, row), *of = g + (k - size.first) * columns;
        if (k < size.first) {
#pragma omp simd
            for (long x = 0; x < columns; ++x) out[x] = -probs[x] * dot[x];
        } else {
#pragma omp simd
            for (long x = 0; x < columns; ++x) out[x] = probs[x] * (of[x] - dot[x]);
        }
    }
}

// The gradient in probabilities; there is none before the first object.
template <typename T> void as_it_is(const Size& size, const T* g, T* out) {
    for (long k = 0; k < size.first; ++k, out += size.pixels()) std::fill(out, out + size.columns, T(0));
    for (long k = 0; k < size.objects(); ++k, out += size.pixels())
        std::copy(g + k * size.columns, g + (k + 1) * size.columns, out);
}

template <typename T>
void gradient_task(const T* input, const Size& size, const Moments& moments, const Neighbours* near,
                   const Task& task, const Polynomial* polynomials, T* out) {
    Ring<T> ring(input, size, task);
    const long columns = size.columns, objects = size.objects();
    static thread_local std::vector<T> storage;
    storage.resize((2 * objects + 1) * columns + ring.width);
    T *u = storage.data(), *g = u + objects * columns, *dot = g + objects * columns, *slope = dot + columns;
    for (long k = 0; k < objects; ++k)
        for (long x = 0; x < columns; ++x)
            u[k * columns + x] = moments.coordinates[2][x] - polynomials[k].centre[2];
    out += task.image * size.classes * size.pixels();
    if (near) ring.fill(task.first_plane - 1);
    ring.fill(task.first_plane);
    for (long plane = task.first_plane; plane < task.last_plane; ++plane) {
        if (near || plane + 1 < task.last_plane) ring.fill(plane + 1);
        for (long row = task.first_row; row < task.last_row; ++row) {
            for (long k = 0; k < objects; ++k) {
                double along[MAX_ORDER + 1];
                polynomials[k].row(moments, moments.coordinates[0][plane], moments.coordinates[1][row], along);
                const T length = near ? polynomials[k].length : 0;
                if (length != 0) compare_all<Pull>(ring, *near, plane, k + size.first, row, slope, columns);
                row_gradient(u + k * columns, along, moments.order, length, slope, g + k * columns, columns);
            }
            T* to = out + plane * size.plane() + row * columns;
            if (size.kind == LOGITS) through_softmax(ring, size, plane, row, g, dot, to);
            else as_it_is(size, g, to);
        }
    }
}

template <typename T>
void forward(const T* input, const Size& size, const Moments& moments, const Neighbours* near,
             double* sums, T* values, long threads) {
    const std::vector<Task> all = tasks<T>(size);
    const long each = size.objects() * (moments.count + 1);
    std::vector<double> parts(all.size() * each);
#pragma omp parallel num_threads(threads)
    {
        [[maybe_unused]] const NoDenormals none;
#pragma omp for schedule(dynamic)
        for (long t = 0; t < long(all.size()); ++t)
            sum_task(input, size, moments, near, all[t], &parts[t * each]);
    }
    std::fill(sums, sums + size.batch * each, 0.0);
    for (size_t t = 0; t < all.size(); ++t)
        for (long i = 0; i < each; ++i) sums[all[t].image * each + i] += parts[t * each + i];
    for (long i = 0; i < size.batch * size.objects(); ++i)
        describe(sums + i * (moments.count + 1), moments, values + i * moments.values());
}

// Ask for large pages before a new array is written: a small one costs more to get than to fill. Only a hint.
void prefer_large_pages(void* start, long bytes) {
    constexpr uintptr_t LARGE = 2 << 20;
    const uintptr_t first = (uintptr_t(start) + LARGE - 1) / LARGE * LARGE;
    const uintptr_t end = (uintptr_t(start) + bytes) / LARGE * LARGE;
    if (first < end) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
}

template <typename T>
void backward(const T* input, const Size& size, const Moments& moments, const Neighbours* near,
              const double* sums, const T* gradient, T* out, long threads) {
    const std::vector<Task> all = tasks<T>(size);
    std::vector<Polynomial> polynomials;
    for (long i = 0; i < size.batch * size.objects(); ++i)
        polynomials.emplace_back(sums + i * (moments.count + 1), gradient + i * moments.values(), moments);
    prefer_large_pages(out, size.batch * size.classes * size.pixels() * long(sizeof(T)));
#pragma omp parallel num_threads(threads)
    {
        [[maybe_unused]] const NoDenormals none;
#pragma omp for schedule(dynamic)
        for (long t = 0; t < long(all.size()); ++t)
            gradient_task(input, size, moments, near, all[t], &polynomials[all[t].image * size.objects()], out);
    }
}

}  // namespace

#define EXPORT(T)                                                                                       \
    extern "C" void forward_##T(const T* input, const Size* size, const Moments* moments,               \
                                const Neighbours* near, double* sums, T* values, long threads) {        \
        forward(input, *size, *moments, near, sums, values, threads);                                   \
    }                                                                                                   \
    extern "C" void backward_##T(const T* input, const Size* size, const Moments* moments,              \
                                 const Neighbours* near, const double* sums, const T* gradient, T* out, \
                                 long threads) {                                                        \
        backward(input, *size, *moments, near, sums, gradient, out, threads);                           \
    }                                                                                                   \
    extern "C" void minimise_##T(const T* input, const Size* size, const Features* features,            \
                                 const Dual* dual, const Solution* out, long threads) {                 \
        minimise(input, *size, *features, *dual, *out, threads);                                        \
    }
EXPORT(float)
EXPORT(double)
