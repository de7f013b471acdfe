// What one round of a projection needs, in one pass over the logits: the log-partition and the moments of the
// prediction, and of the products of its classes, after each object's logit got a polynomial added to it.
//
// Polynomials and moments are in each object's own coordinates, (pixel - centre) / scale, so that nothing
// cancels. Rows are added up with powers of the row's coordinate, those sums with powers of the column's, and
// these with the plane's: no array of an image's size is made.

#pragma once

#include <cmath>
#include <vector>

#include "denormals.h"
#include "moments.h"
#include "ring.h"

constexpr long TASK_PIXELS = 8192, MOST_TASKS = 64;  // about, of an image
constexpr long PRODUCT = 64;                          // probabilities multiply without leaving a double

// Powers (of plane, row and column), the first of them 0, and where each object's coordinates begin.
struct Features {
    long order, count;
    const long* powers;
    const double *centre, *scale;  // (batch, objects, AXES)

    const long* power(long p) const { return powers + AXES * p; }
    void at(long object, long axis, long pixel, double* out) const {
        const long i = AXES * object + axis;
        powers_of((pixel - centre[i]) / scale[i], order, out);
    }
};

template <typename T> double dot(const T* a, const T* b, long n) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (long x = 0; x < n; ++x) sum += a[x] * b[x];
    return sum;
}

template <typename T> void add_times(T factor, const T* a, T* out, long n) {
#pragma omp simd
    for (long x = 0; x < n; ++x) out[x] += factor * a[x];
}

// Sum of log(sum of exp(logits)) over a row: the largest logit less the logarithm of its probability.
template <typename T> double log_partition(const T* logits, const T* probs, long classes, long n) {
    double sum = 0;
    for (long start = 0; start < n; start += PRODUCT) {
        const long end = std::min(start + PRODUCT, n);
        double product = 1;
#pragma omp simd reduction(+ : sum) reduction(* : product)
        for (long x = start; x < end; ++x) {
            T high = logits[x], top = probs[x];
            for (long k = 1; k < classes; ++k) {
                high = logits[k * n + x] > high ? logits[k * n + x] : high;
                top = probs[k * n + x] > top ? probs[k * n + x] : top;
            }
            sum += high, product *= top;
        }
        sum -= std::log(product);
    }
    return sum;
}

// Some rows of one image: its log-partition, moments (objects, P) and products (objects, objects, P, P).
template <typename T> class Tilted {
public:
    Tilted(const Size& size, const Features& features, long image)
        : size(size), features(features), first(image * size.objects()), objects(size.objects()),
          columns(size.columns), side(features.order + 1), count(features.count), deep(objects * side),
          down(objects * side), table(side * side * side * side) {
        const long pairs = objects * (objects + 1) / 2;
        sums_size = (objects + pairs * side) * side * columns;
        storage.resize(sums_size + (objects * side + 2 * size.classes + 1) * columns);
        sums = storage.data(), powers = sums + sums_size, logits = powers + objects * side * columns;
        probs = logits + size.classes * columns, weight = probs + size.classes * columns;
        double at[MAX_ORDER + 1];
        for (long k = 0; k < objects; ++k)
            for (long x = 0; x < columns; ++x) {
                features.at(first + k, 2, x, at);
                for (long a = 0; a < side; ++a) power(k, a)[x] = at[a];
            }
    }

    static long numbers(const Size& size, const Features& features) {
        const long moments = size.objects() * features.count;
        return 1 + moments + moments * moments;
    }

    void add_plane(const T* input, const double* tilt, long plane, long first_row, long last_row, double* out) {
        std::fill(sums, sums + sums_size, T(0));
        for (long k = 0; k < objects; ++k) features.at(first + k, 0, plane, &deep[k * side]);
        for (long row = first_row; row < last_row; ++row) {
            for (long k = 0; k < objects; ++k) features.at(first + k, 1, row, &down[k * side]);
            add_polynomials(input + plane * size.plane() + row * columns, tilt);
            softmax(logits, columns, probs, columns, size.classes, columns);
            out[0] += log_partition(logits, probs, size.classes, columns);
            add_rows();
        }
        double *moments = out + 1, *products = moments + objects * count;
        T* from = sums;
        for (long k = 0; k < objects; ++k, from += side * columns) add_moments(k, from, moments + k * count);
        for (long k = 0; k < objects; ++k)
            for (long l = k; l < objects; ++l, from += side * side * columns)
                add_products(k, l, from, products + (k * objects + l) * count * count);
    }

private:
    const Size& size;
    const Features& features;
    const long first, objects, columns, side, count;
    std::vector<T> storage;
    std::vector<double> deep, down, table;
    long sums_size;
    T *sums, *powers, *logits, *probs, *weight;

    T* power(long k, long a) const { return powers + (k * side + a) * columns; }

    void add_polynomials(const T* input, const double* tilt) {
        std::copy(input, input + columns, logits);
        for (long k = 0; k < objects; ++k) {
            double along[MAX_ORDER + 1] = {};
            for (long p = 0; p < count; ++p) {
                const long* e = features.power(p);
                along[e[2]] += tilt[k * count + p] * deep[k * side + e[0]] * down[k * side + e[1]];
            }
            const T* from = input + (1 + k) * size.pixels();
            T* to = logits + (1 + k) * columns;
            std::copy(from, from + columns, to);
            for (long a = 0; a < side; ++a) add_times(T(along[a]), power(k, a), to, columns);
        }
    }

    // Add a row of every q_k, of q_k (1 - q_k) and of -q_k q_l, times the powers of the row's coordinate.
    void add_rows() {
        T* to = sums;
        for (long k = 0; k < objects; ++k)
            for (long a = 0; a < side; ++a, to += columns)
                add_times(T(down[k * side + a]), probs + (1 + k) * columns, to, columns);
        for (long k = 0; k < objects; ++k)
            for (long l = k; l < objects; ++l) {
                const T *one = probs + (1 + k) * columns, *other = probs + (1 + l) * columns, same = k == l;
#pragma omp simd
                for (long x = 0; x < columns; ++x) weight[x] = one[x] * (same - other[x]);
                for (long a = 0; a < side; ++a)
                    for (long b = 0; b < side; ++b, to += columns)
                        add_times(T(down[k * side + a] * down[l * side + b]), weight, to, columns);
            }
    }

    void add_moments(long k, const T* from, double* moments) {
        for (long a = 0; a < side; ++a)
            for (long c = 0; c < side; ++c) table[a * side + c] = dot(from + a * columns, power(k, c), columns);
        for (long p = 0; p < count; ++p) {
            const long* e = features.power(p);
            moments[p] += deep[k * side + e[0]] * table[e[1] * side + e[2]];
        }
    }

    void add_products(long k, long l, const T* from, double* products) {
        const long square = side * side;
        for (long ab = 0; ab < square; ++ab)
            for (long c = 0; c < side; ++c) {
                const T *row = from + ab * columns, *u = power(k, c);
#pragma omp simd
                for (long x = 0; x < columns; ++x) weight[x] = row[x] * u[x];
                for (long d = 0; d < side; ++d)
                    table[ab * square + c * side + d] = dot(weight, power(l, d), columns);
            }
        for (long p = 0; p < count; ++p)
            for (long q = 0; q < count; ++q) {
                const long *e = features.power(p), *f = features.power(q);
                const double outside = deep[k * side + e[0]] * deep[l * side + f[0]];
                const long inside = (e[1] * side + f[1]) * square + e[2] * side + f[2];
                products[p * count + q] += outside * table[inside];
            }
    }
};

// The products of l and k are those of k and l, transposed.
inline void mirror(double* products, long objects, long count) {
    for (long k = 0; k < objects; ++k)
        for (long l = 0; l < k; ++l)
            for (long p = 0; p < count; ++p)
                for (long q = 0; q < count; ++q)
                    products[((k * objects + l) * count + p) * count + q] =
                        products[((l * objects + k) * count + q) * count + p];
}

// The numbers of some of the images, (batch, numbers); the others' stay. Tasks are cut by the images' size alone.
template <typename T>
void tilted(const T* input, const Size& size, const Features& features, const double* tilt,
            const std::vector<long>& images, double* out, long threads) {
    const long each = Tilted<T>::numbers(size, features), moments = size.objects() * features.count;
    const long fair = (size.planes * size.rows + MOST_TASKS - 1) / MOST_TASKS;  // rows for each
    const long rows = std::min(size.rows, std::max({1L, TASK_PIXELS / size.columns, fair}));
    const long planes = std::max({1L, TASK_PIXELS / size.plane(), fair / size.rows});
    const long bands = (size.rows + rows - 1) / rows, slabs = (size.planes + planes - 1) / planes;
    const long parts = bands * slabs;
    std::vector<double> found(images.size() * parts * each);
#pragma omp parallel num_threads(threads)
    {
        [[maybe_unused]] const NoDenormals none;
#pragma omp for schedule(dynamic)
        for (long task = 0; task < long(images.size()) * parts; ++task) {
            const long image = images[task / parts], plane = task % parts / bands * planes;
            const long row = task % bands * rows;
            Tilted<T> sums(size, features, image);
            for (long z = plane; z < std::min(plane + planes, size.planes); ++z)
                sums.add_plane(input + image * size.classes * size.pixels(), tilt + image * moments, z, row,
                               std::min(row + rows, size.rows), &found[task * each]);
        }
    }
    for (const long image : images) std::fill(out + image * each, out + (image + 1) * each, 0.0);
    for (long task = 0; task < long(images.size()) * parts; ++task)
        for (long i = 0; i < each; ++i) out[images[task / parts] * each + i] += found[task * each + i];
    for (const long image : images) mirror(out + image * each + 1 + moments, size.objects(), features.count);
}
