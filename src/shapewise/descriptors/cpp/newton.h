// Newton's method of projection/newton.py, image by image: the same steps, without a tensor for each.
//
// An image that rests is not evaluated again.

#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "tilted.h"

constexpr double SHRINK = 0.25, SUFFICIENT = 1e-4, JITTER = 1e-6, ROUNDING = 1e-6;  // as in newton.py
constexpr double FAR = 0.25, LOST = 0.5;  // as there

// All (batch, objects, count), but for size, (batch, objects); near may be null.
struct Dual {
    const double *lower, *upper, *weight, *size, *near;
    const bool* known;
    double accuracy;
    long iterations;
};

struct Solution {
    double *multipliers, *residual;
    bool* converged;
};

inline double sign_of(double x) { return (x > 0) - (x < 0); }

// Solve a positive definite system in place, its lower triangle given; false if it is none.
inline bool solve(std::vector<double>& a, std::vector<double>& b) {
    const long n = b.size();
    for (long i = 0; i < n; ++i) {
        for (long j = 0; j <= i; ++j) {
            double sum = a[i * n + j];
            for (long k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0)) return false;
            a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
        }
        for (long k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
        b[i] /= a[i * n + i];
    }
    for (long i = n - 1; i >= 0; --i) {
        for (long k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
        b[i] /= a[i * n + i];
    }
    return std::all_of(b.begin(), b.end(), [](double x) { return std::isfinite(x); });
}

// The search in one image.
class Search {
public:
    Search(const Dual& dual, long image, long objects, long count)
        : dual(dual), count(count), n(objects * count), start(image * n), first(image * objects), at(n), sums(n),
          slope(n), sign(n), direction(n), newton(n), candidate(n) {}

    void begin(const double* numbers) {
        begun.assign(numbers + 1, numbers + 1 + n), sums = begun;
        best = numbers[0];
        look();
        newton = direction = towards(numbers + 1 + n);
        const double* near = dual.near ? dual.near + start : nullptr;
        if (near && std::all_of(near, near + n, [](double x) { return std::isfinite(x); }))
            direction.assign(near, near + n);
    }

    bool rests() const {
        for (long i = 0; i < n; ++i)
            if (!(std::abs(slope[i]) <= dual.accuracy * size(i))) return false;
        return true;
    }

    // What is to be evaluated next, as a polynomial: what each power is multiplied by.
    void propose(double* tilt) {
        for (long i = 0; i < n; ++i) {
            candidate[i] = at[i] + step * direction[i];
            const bool crossing = dual.lower[start + i] != dual.upper[start + i];
            if (crossing && sign_of(candidate[i]) != sign[i]) candidate[i] = 0;
        }
        for (long i = 0; i < n; ++i) {
            const long constant = i / count * count;
            if (i == constant) tilt[i] = candidate[i];
            else tilt[i] = candidate[i], tilt[constant] -= candidate[i] * bound(i);
        }
    }

    void judge(const double* numbers, bool guessed) {
        double found = numbers[0], enough = best + ROUNDING * (1 + std::abs(best));
        for (long i = 0; i < n; ++i) {
            if (i % count == 0) found -= candidate[i] * bound(i);
            found += dual.weight[start + i] * candidate[i] * candidate[i] / 2;
            enough += SUFFICIENT * slope[i] * (candidate[i] - at[i]);
        }
        if (found <= enough) {
            at = candidate, best = found, step = 1;
            sums.assign(numbers + 1, numbers + 1 + n);
            look();
            direction = towards(numbers + 1 + n);
        } else if (guessed) {  // a guess that does not help is not tried again
            direction = newton;
        } else {
            step *= SHRINK;
        }
    }

    // What was found, or 0 where no distribution has the moments.
    void conclude(const Solution& out, long image) const {
        const bool failed = given_up();
        out.converged[image] = rests() && !failed;
        for (long i = 0; i < n; ++i) {
            const double residual = outside(failed ? begun : sums, i);
            out.multipliers[start + i] = failed ? 0 : at[i];
            out.residual[start + i] = residual;
            if (!(residual <= FAR)) out.converged[image] = false;  // nor for NaN
        }
    }

private:
    const Dual& dual;
    const long count, n, start, first;
    std::vector<double> at, sums, slope, sign, direction, newton, candidate, begun;
    double best = 0, step = 1;

    double size(long i) const { return dual.size[first + i / count]; }
    double bound(long i) const {
        const double side = (sign[i] > 0 ? dual.lower : dual.upper)[start + i];
        return std::isfinite(side) ? side : 0;
    }
    double above(const std::vector<double>& sums, long i, double side, double open) const {
        if (!std::isfinite(side)) return open;
        return sums[i] - side * (i % count == 0 ? 1 : sums[i / count * count]);
    }
    double outside(const std::vector<double>& sums, long i) const {
        if (!dual.known[start + i]) return 0;
        if (std::isnan(sums[i])) return sums[i];
        constexpr double open = std::numeric_limits<double>::infinity();
        const double low = -above(sums, i, dual.lower[start + i], open);
        return std::max({low, above(sums, i, dual.upper[start + i], -open), 0.0}) / size(i);
    }
    double farthest(const std::vector<double>& sums) const {
        double most = 0;
        for (long i = 0; i < n; ++i) most = std::max(most, outside(sums, i));
        return most;
    }

    // Whether moments ended farther off than they began, a volume at rest is far off, or an object is lost.
    bool given_up() const {
        if (farthest(sums) > farthest(begun)) return true;
        for (long i = 0; i < n; i += count) {
            if (!dual.known[start + i]) continue;
            const bool less = sums[i] < begun[i] && sums[i] < dual.lower[start + i] - LOST * size(i);
            if (less || (rests() && outside(sums, i) > FAR)) return true;
        }
        return false;
    }

    // The slope of the cost, and the sign that each multiplier has or takes next.
    void look() {
        constexpr double open = std::numeric_limits<double>::infinity();
        for (long i = 0; i < n; ++i) {
            const double lower = dual.lower[start + i], upper = dual.upper[start + i];
            const double from_lower = above(sums, i, lower, open), from_upper = above(sums, i, upper, -open);
            sign[i] = at[i] != 0 ? sign_of(at[i]) : (from_lower < 0) - (from_upper > 0);
            if (lower == upper) sign[i] = 1;
            const double gap = sign[i] > 0 ? from_lower : from_upper;
            slope[i] = free(i) ? gap + dual.weight[start + i] * at[i] : 0;
        }
    }
    bool free(long i) const { return dual.known[start + i] && sign[i] != 0; }

    // Newton's step for the free unknowns, their curvatures brought to one scale first.
    std::vector<double> towards(const double* products) const {
        std::vector<long> which;
        for (long i = 0; i < n; ++i)
            if (free(i)) which.push_back(i);
        const long m = which.size();
        std::vector<double> scale(m), matrix(m * m), steps(m), out(n, 0.0);
        for (long i = 0; i < m; ++i) {
            const double diagonal = curvature(products, which[i], which[i]) + dual.weight[start + which[i]];
            scale[i] = 1 / std::sqrt(std::max(diagonal, 1e-12));
            steps[i] = scale[i] * slope[which[i]];
            for (long j = 0; j < i; ++j)
                matrix[i * m + j] = scale[i] * scale[j] * curvature(products, which[i], which[j]);
            matrix[i * m + i] = scale[i] * scale[i] * diagonal + JITTER;
        }
        // Where rounding has spoilt the curvature, its diagonal alone gives a shorter way down.
        const std::vector<double> down = steps;
        if (!solve(matrix, steps)) steps = down;
        for (long i = 0; i < m; ++i) out[which[i]] = -scale[i] * steps[i];
        return out;
    }

    // The covariance of two features u^p - mean_p; the first of each object's is 1.
    double curvature(const double* products, long i, long j) const {
        const long k = i / count, l = j / count, p = i % count, q = j % count;
        const double* of = products + (k * (n / count) + l) * count * count;
        const double mean = p ? bound(i) : 0, other = q ? bound(j) : 0;
        return of[p * count + q] - mean * of[q] - other * (of[p * count] - mean * of[0]);
    }
};

template <typename T>
void minimise(const T* input, const Size& size, const Features& features, const Dual& dual, const Solution& out,
              long threads) {
    const long unknowns = size.objects() * features.count, each = Tilted<T>::numbers(size, features);
    std::vector<double> numbers(size.batch * each), tilt(size.batch * unknowns);
    std::vector<Search> searches;
    std::vector<long> moving;
    for (long image = 0; image < size.batch; ++image)
        searches.emplace_back(dual, image, size.objects(), features.count), moving.push_back(image);
    tilted(input, size, features, tilt.data(), moving, numbers.data(), threads);
    for (const long image : moving) searches[image].begin(&numbers[image * each]);
    for (long round = 0; round < dual.iterations; ++round) {
        moving.erase(std::remove_if(moving.begin(), moving.end(), [&](long i) { return searches[i].rests(); }),
                     moving.end());
        if (moving.empty()) break;
        for (const long image : moving) searches[image].propose(&tilt[image * unknowns]);
        tilted(input, size, features, tilt.data(), moving, numbers.data(), threads);
        for (const long image : moving) searches[image].judge(&numbers[image * each], round == 0 && dual.near);
    }
    for (long image = 0; image < size.batch; ++image) searches[image].conclude(out, image);
}
