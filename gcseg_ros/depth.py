"""Depth images, pixel by pixel: their noise, reduction, temporal filter and normals.

Depth is in metres along the optical axis, (h, w) float32, 0 = none; `camera` is a `CameraIntrinsics.pinhole`;
transforms are (4, 4) float64.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gcseg_ros.jit import njit

Image = npt.NDArray[np.float32]

NEAREST_M = 0.1  # depth under this is none


@njit
def sigma(z):
    """Depth noise (m, 1 sigma) of structured-light and active-stereo cameras at depth z (Nguyen, Izadi, Lovell 2012)."""
    return 0.0012 + 0.0019 * (z - 0.4) * (z - 0.4)


@njit
def same_point_m(z):
    """Two depths of one point, seen twice, differ by less: by their noise and that of the poses."""
    return 3 * sigma(z) + 0.01


@njit
def same_surface_m(z):
    """Depths of neighbouring pixels of one surface, which may lie aslant, differ by less."""
    return 3 * sigma(z) + 0.02 + 0.01 * z


@njit
def transform(T, u, v, z, camera):
    """Pixel (u, v) at depth z, back-projected (Eq. 3) and carried by T (Eq. 4)."""
    fx, fy, cx, cy = camera
    x, y, z = rotated(T, ((u - cx) / fx * z, (v - cy) / fy * z, z))
    return x + T[0, 3], y + T[1, 3], z + T[2, 3]


@njit
def rotated(T, vector):
    """A vector (3,), turned by T but not moved: a normal, or a point about the origin."""
    x, y, z = vector[0], vector[1], vector[2]
    return (
        T[0, 0] * x + T[0, 1] * y + T[0, 2] * z,
        T[1, 0] * x + T[1, 1] * y + T[1, 2] * z,
        T[2, 0] * x + T[2, 1] * y + T[2, 2] * z,
    )


@njit
def decimate(depth, factor, depth_max):
    """One depth per factor x factor block: the mean of its pixels that agree with the middle one (or the nearest); from
    NEAREST_M to depth_max."""
    h, w = depth.shape[0] // factor, depth.shape[1] // factor
    out = np.zeros((h, w), np.float32)
    for v in range(h):
        for u in range(w):
            middle = depth[v * factor + factor // 2, u * factor + factor // 2]
            if middle < NEAREST_M:
                middle = np.float32(1e9)
                for j in range(factor):
                    for i in range(factor):
                        z = depth[v * factor + j, u * factor + i]
                        if z >= NEAREST_M and z < middle:
                            middle = z
            if middle > depth_max:
                continue
            reach = 4 * sigma(middle) + 0.005
            total, count = 0.0, 0
            for j in range(factor):
                for i in range(factor):
                    z = depth[v * factor + j, u * factor + i]
                    if z >= NEAREST_M and abs(z - middle) < reach:
                        total += z
                        count += 1
            if count > 0:
                out[v, u] = total / count
    return out


@njit
def warp(depth, weight, normals, motion, last_camera, camera):
    """The last view's depth as seen from here, and its weight: each pixel splats 2x2 samples of its tangent plane.

    A pixel gets the mean, by how near they fall, of the samples that agree within the noise; of those that do not, the
    nearest surface's. To take the nearest of noisy samples would draw far surfaces towards the camera.
    """
    fx, fy, cx, cy = camera
    h, w = depth.shape
    out = np.zeros((h, w), np.float32)
    out_weight = np.zeros((h, w), np.float32)
    share = np.zeros((h, w), np.float32)
    for v in range(h):
        for u in range(w):
            z = depth[v, u]
            if z <= 0:
                continue
            X, Y, Z = transform(motion, u, v, z, last_camera)
            if Z < NEAREST_M:
                continue
            a, b, c = rotated(motion, normals[v, u])
            offset = a * X + b * Y + c * Z
            x, y = fx * X / Z + cx, fy * Y / Z + cy
            u0, v0 = int(np.floor(x)), int(np.floor(y))
            reach = same_point_m(Z)
            for k in range(4):
                i, j = u0 + k % 2, v0 + k // 2
                if i < 0 or j < 0 or i >= w or j >= h:
                    continue
                slope = a * (i - cx) / fx + b * (j - cy) / fy + c
                at = Z
                if abs(slope) > 0.1:
                    at = offset / slope
                    if abs(at - Z) > 0.05 * Z:
                        at = Z
                # on a pixel's middle its neighbours have little, not nothing
                near = (1 - abs(x - i)) * (1 - abs(y - j)) + 1e-3
                if out[j, i] == 0 or at < out[j, i] - reach:
                    out[j, i], out_weight[j, i], share[j, i] = at, weight[v, u], near
                elif at < out[j, i] + reach:
                    share[j, i] += near
                    part = near / share[j, i]
                    out[j, i] += part * (at - out[j, i])
                    out_weight[j, i] += part * (weight[v, u] - out_weight[j, i])
    return out, out_weight


@njit
def fuse(measured, predicted, support, most):
    """Running mean where the prediction agrees; a hole takes a prediction that was seen more than twice."""
    h, w = measured.shape
    depth = np.zeros((h, w), np.float32)
    weight = np.zeros((h, w), np.float32)
    for v in range(h):
        for u in range(w):
            z, p = measured[v, u], predicted[v, u]
            if z > 0:
                depth[v, u], weight[v, u] = z, 1
                if p > 0 and abs(z - p) < same_point_m(z):
                    k = min(support[v, u], most)
                    depth[v, u] = (z + k * p) / (k + 1)
                    weight[v, u] = k + 1
            elif p > 0 and support[v, u] > 2:
                depth[v, u] = p
                weight[v, u] = 0.8 * support[v, u]
    return depth, weight


@njit
def normals_from(depth, camera):
    """Normals (h, w, 3) from a plane through 5x5 samples, 2 pixels apart: planes are linear in inverse depth.

    A row's sums grow side by side, sample by sample: so the compiler can add several at once.
    """
    fx, fy, cx, cy = camera
    step, margin = 2, 4
    h, w = depth.shape
    out = np.zeros((h, w, 3), np.float32)
    padded = np.zeros((h + 2 * margin, w + 2 * margin), np.float32)
    padded[margin : margin + h, margin : margin + w] = depth
    inverse = 1 / padded.astype(np.float64)
    sums, of_samples, near = np.zeros((9, w)), np.zeros((3, w), np.float32), np.zeros(w, np.float32)
    n, sx, sy, sxx, sxy, syy = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    sr, srx, sry = sums[6], sums[7], sums[8]
    count, total, squares = of_samples[0], of_samples[1], of_samples[2]
    for v in range(h):
        z = depth[v]
        tolerance = 0.02 + 0.03 * z.astype(np.float64)
        sums[:] = 0
        for j in range(-2, 3):
            of_samples[:] = 0
            for i in range(-2, 3):
                y, x = margin + v + j * step, margin + i * step
                q, r = padded[y, x : x + w], inverse[y, x : x + w]
                for u in range(w):
                    agrees = (q[u] > 0) & (abs(q[u] - z[u]) <= tolerance[u])
                    near[u] = 1 if agrees else 0
                    known = r[u] if agrees else 0.0
                    sr[u] += known
                    srx[u] += known * i
                    sry[u] += known * j
                for u in range(w):
                    count[u] += near[u]
                    total[u] += near[u] * np.float32(i)
                    squares[u] += near[u] * np.float32(i * i)
            for u in range(w):
                n[u] += count[u]
                sx[u] += total[u]
                sy[u] += j * count[u]
                sxx[u] += squares[u]
                sxy[u] += j * total[u]
                syy[u] += j * j * count[u]
        for u in range(w):
            if z[u] <= 0 or n[u] < 6:
                continue
            mx, my = sx[u] / n[u], sy[u] / n[u]
            a, b, c = sxx[u] - n[u] * mx * mx, sxy[u] - n[u] * mx * my, syy[u] - n[u] * my * my
            p, s = srx[u] - mx * sr[u], sry[u] - my * sr[u]
            determinant = a * c - b * b
            if determinant < 1e-6:
                continue
            gx, gy = (c * p - b * s) / determinant, (a * s - b * p) / determinant
            at_centre = sr[u] / n[u] - gx * mx - gy * my
            nx, ny = gx * fx / step, gy * fy / step
            nz = at_centre - nx * (u - cx) / fx - ny * (v - cy) / fy
            length = np.sqrt(nx * nx + ny * ny + nz * nz)
            out[v, u, 0], out[v, u, 1], out[v, u, 2] = -nx / length, -ny / length, -nz / length
    return out


@njit
def solid(depth):
    """Depth without the pixels beside a discontinuity, where sensors invent points in mid-air."""
    h, w = depth.shape
    out = depth.copy()
    for v in range(1, h - 1):
        for u in range(1, w - 1):
            z = depth[v, u]
            if z <= 0:
                continue
            reach = same_surface_m(z)
            n = 0
            for j in range(-1, 2):
                for i in range(-1, 2):
                    q = depth[v + j, u + i]
                    if q > 0 and abs(q - z) < reach:
                        n += 1
            if n < 7:
                out[v, u] = 0
    return out
