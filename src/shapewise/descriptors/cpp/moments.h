// The few numbers of an object: from raw moments to descriptors, from descriptors' gradients to a polynomial.
//
// Raw moments are sums of s x^p over the pixels, in double precision and coordinates from -1 to 1. The gradient
// of any function of them in the probabilities s is a polynomial in the coordinates; it is kept about the
// object's own centroid, where nothing cancels.

#pragma once

#include <algorithm>
#include <cmath>

constexpr double NO_MASS = 1e-6, NO_SQUARE = 1e-12;  // as in safe.py
constexpr int AXES = 3, MAX_ORDER = 4, MAX_COUNT = 35, MAX_VALUES = MAX_COUNT + AXES + 1;

// Powers (of plane, row and column): 0, one of each axis in order, then those of degree 2 and more.
struct Moments {
    long order, ndim, count;
    const long* powers;
    const double* coordinates[AXES];
    const double *scale, *shift;  // from these coordinates to the user's unit, for every value

    long values() const { return count + ndim + 1; }
    const long* power(long m) const { return powers + AXES * m; }
    long axis(long a) const { return ndim == 2 && a == 1 ? 2 : a; }  // 2-D: planes and columns
    long square(long a) const {
        long p[AXES] = {0, 0, 0};
        p[axis(a)] = 2;
        return find(p);
    }
    long lower(const long* power, long a) const {
        long p[AXES] = {power[0], power[1], power[2]};
        p[axis(a)] -= 1;
        return find(p);
    }
    long find(const long* wanted) const {
        long m = 0;
        while (m < count && !std::equal(wanted, wanted + AXES, power(m))) ++m;
        return m;
    }
};

inline void powers_of(double x, long order, double* out) {
    out[0] = 1;
    for (long p = 1; p <= order; ++p) out[p] = out[p - 1] * x;
}

// An object's moments about its own centroid, divided by its mass; an absent one's mass counts as 1.
struct Object {
    double mass = 1, centre[AXES] = {0, 0, 0}, central[MAX_COUNT];
    bool present;

    Object(const double* sums, const Moments& moments) : present(std::abs(sums[0]) > NO_MASS) {
        if (present) mass = sums[0];
        for (long a = 0; a < moments.ndim; ++a) centre[moments.axis(a)] = sums[1 + a] / mass;
        double shifts[AXES][MAX_ORDER + 1];
        for (long a = 0; a < AXES; ++a) powers_of(-centre[a], moments.order, shifts[a]);
        for (long m = 0; m < moments.count; ++m)
            central[m] = shifted(sums, moments, moments.power(m), shifts) / mass;
    }

private:
    // Binomial expansion of (x - centre)^p over the raw moments.
    static double shifted(const double* sums, const Moments& moments, const long* p,
                          const double (*shifts)[MAX_ORDER + 1]) {
        double total = 0;
        for (long m = 0; m < moments.count; ++m) {
            const long* q = moments.power(m);
            if (q[0] > p[0] || q[1] > p[1] || q[2] > p[2]) continue;
            double term = sums[m];
            for (long a = 0; a < AXES; ++a) term *= binomial(p[a], q[a]) * shifts[a][p[a] - q[a]];
            total += term;
        }
        return total;
    }
    static double binomial(long n, long k) {
        double result = 1;
        for (long i = 1; i <= k; ++i) result = result * (n - k + i) / i;
        return result;
    }
};

// Values of an object: volume, centroid, spread, the higher moments, length.
template <typename T> void describe(const double* sums, const Moments& moments, T* out) {
    const Object object(sums, moments);
    double all[MAX_VALUES], *values = all;
    *values++ = sums[0];
    for (long a = 0; a < moments.ndim; ++a) *values++ = object.centre[moments.axis(a)];
    for (long a = 0; a < moments.ndim; ++a) {
        const double square = object.central[moments.square(a)];
        *values++ = square > NO_SQUARE ? std::sqrt(square) : 0;
    }
    for (long m = 1 + moments.ndim; m < moments.count; ++m) *values++ = object.central[m];
    *values = sums[moments.count];
    for (long i = 0; i < moments.values(); ++i) out[i] = moments.shift[i] + moments.scale[i] * all[i];
}

// The gradient of an object's values in its probabilities, as a polynomial about its centre.
//
// With dV = 1, dC = (x - C) / V and M_p = sum of s (x - C)^p / V:
// dM_p = ((x - C)^p - M_p) / V - sum over the axes a of p_a M_(p - a) dC_a.
struct Polynomial {
    double coefficients[MAX_COUNT] = {}, centre[AXES], length;

    template <typename T> Polynomial(const double* sums, const T* of_values, const Moments& moments) {
        const Object object(sums, moments);
        double gradient[MAX_VALUES];
        for (long i = 0; i < moments.values(); ++i) gradient[i] = moments.scale[i] * of_values[i];
        std::copy(object.centre, object.centre + AXES, centre);
        const double *of_centroid = gradient + 1, *of_spread = of_centroid + moments.ndim, *of_rest = of_spread;
        double of_moment[MAX_COUNT] = {};
        for (long m = 1 + moments.ndim; m < moments.count; ++m) of_moment[m] = of_rest[m - 1];
        coefficients[0] = gradient[0];
        for (long a = 0; a < moments.ndim; ++a) {
            const double square = object.central[moments.square(a)];
            if (square > NO_SQUARE) of_moment[moments.square(a)] += of_spread[a] / (2 * std::sqrt(square));
            add_centroid(object, moments, a, of_centroid[a]);
        }
        for (long m = 1 + moments.ndim; m < moments.count; ++m) {
            const long* p = moments.power(m);
            coefficients[m] += of_moment[m] / object.mass;
            if (object.present) coefficients[0] -= of_moment[m] * object.central[m] / object.mass;
            for (long a = 0; a < moments.ndim; ++a) {
                const long power = p[moments.axis(a)];
                if (power == 0) continue;
                add_centroid(object, moments, a, -power * object.central[moments.lower(p, a)] * of_moment[m]);
            }
        }
        length = gradient[moments.count + moments.ndim];
    }

    // The polynomial along one row, in (column - centre)^q.
    void row(const Moments& moments, double plane, double row, double* along) const {
        double deep[MAX_ORDER + 1], down[MAX_ORDER + 1];
        powers_of(plane - centre[0], moments.order, deep);
        powers_of(row - centre[1], moments.order, down);
        std::fill(along, along + moments.order + 1, 0.0);
        for (long m = 0; m < moments.count; ++m) {
            const long* p = moments.power(m);
            along[p[2]] += coefficients[m] * deep[p[0]] * down[p[1]];
        }
    }

private:
    void add_centroid(const Object& object, const Moments& moments, long a, double gradient) {
        coefficients[1 + a] += gradient / object.mass;
        if (!object.present) coefficients[0] += gradient * object.centre[moments.axis(a)];
    }
};
