// Resizing equal to Pillow's, bit for bit: https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c
// Two passes of weighted sums, with weights of 22 fractional bits and 8-bit results in between.
import Foundation

enum Interpolation: String, CaseIterable, Sendable {
    case nearest, box, bilinear, hamming, bicubic, lanczos

    /// How far the weights reach, in pixels of the smaller image.
    fileprivate var support: Double {
        switch self {
        case .nearest: return 0
        case .box: return 0.5
        case .bilinear, .hamming: return 1
        case .bicubic: return 2
        case .lanczos: return 3
        }
    }

    fileprivate func weight(_ at: Double) -> Double {
        let x = abs(at)
        switch self {
        case .nearest: return 0
        case .box: return at > -0.5 && at <= 0.5 ? 1 : 0
        case .bilinear: return x < 1 ? 1 - x : 0
        case .hamming:
            if x == 0 { return 1 }
            if x >= 1 { return 0 }
            let turn = x * Double.pi
            // Pillow's two constants are of single precision.
            return sin(turn) / turn * (Double(Float(0.54)) + Double(Float(0.46)) * cos(turn))
        case .bicubic:
            let a = -0.5
            if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
            return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
        case .lanczos: return at >= -3 && at < 3 ? sinc(at) * sinc(at / 3) : 0
        }
    }
}

private func sinc(_ x: Double) -> Double {
    if x == 0 { return 1 }
    let turn = x * Double.pi
    return sin(turn) / turn
}

/// A part of an image, with edges between pixels; single precision, as Pillow hands it on.
struct Box: Sendable {
    let left: Float
    let top: Float
    let right: Float
    let bottom: Float
}

private let fractionBits: Int32 = 22

/// For each pixel of a result: the first pixel that it is made of, how many, and their weights.
private struct Weights {
    var first: [Int] = []
    var count: [Int] = []
    var values: [Int32] = []
    let stride: Int

    init(_ filter: Interpolation, size: Int, from: Float, to: Float, out: Int) {
        let scale = Double(to - from) / Double(out)
        let reduction = max(scale, 1)
        let support = filter.support * reduction
        stride = Int(support.rounded(.up)) * 2 + 1
        values = [Int32](repeating: 0, count: out * stride)
        for index in 0..<out {
            let center = Double(from) + (Double(index) + 0.5) * scale
            let low = max(Int(center - support + 0.5), 0)
            let high = min(Int(center + support + 0.5), size)
            let inverse = 1 / reduction
            let raw = (0..<max(high - low, 0)).map { filter.weight((Double($0 + low) - center + 0.5) * inverse) }
            let sum = raw.reduce(0, +)
            for (at, weight) in raw.enumerated() {
                let share = (sum != 0 ? weight / sum : weight) * Double(1 << fractionBits)
                values[index * stride + at] = Int32(share < 0 ? share - 0.5 : share + 0.5)
            }
            first.append(low)
            count.append(raw.count)
        }
    }
}

extension Pixels {
    /// A part of this image, or all of it, at another size.
    func resized(
        width outWidth: Int, height outHeight: Int, by filter: Interpolation, part: Box? = nil
    ) throws -> Pixels {
        let whole = Box(left: 0, top: 0, right: Float(width), bottom: Float(height))
        let box = part ?? whole
        if filter == .nearest { return try nearest(width: outWidth, height: outHeight, box: box) }
        func across(_ image: Pixels) throws -> Pixels {
            if outWidth == width && box.left == 0 && box.right == Float(outWidth) { return image }
            let weights = Weights(filter, size: width, from: box.left, to: box.right, out: outWidth)
            return try image.across(weights, width: outWidth)
        }
        func down(_ image: Pixels) throws -> Pixels {
            if outHeight == height && box.top == 0 && box.bottom == Float(outHeight) { return image }
            let weights = Weights(filter, size: height, from: box.top, to: box.bottom, out: outHeight)
            return try image.down(weights, height: outHeight)
        }
        // Since Pillow 13; before, always across first: https://github.com/python-pillow/Pillow/pull/9549
        let downFirst = height > outHeight && height - outHeight > 2 * (width - outWidth)
        return downFirst ? try across(down(self)) : try down(across(self))
    }

    private func across(_ weights: Weights, width outWidth: Int) throws -> Pixels {
        try filled(width: outWidth, height: height) { source, out in
            for y in 0..<height {
                for x in 0..<outWidth {
                    let start = 3 * (y * width + weights.first[x])
                    sum(source, start, 3, weights, x, out, 3 * (y * outWidth + x))
                }
            }
        }
    }

    private func down(_ weights: Weights, height outHeight: Int) throws -> Pixels {
        try filled(width: width, height: outHeight) { source, out in
            for y in 0..<outHeight {
                for x in 0..<width {
                    let start = 3 * (weights.first[y] * width + x)
                    sum(source, start, 3 * width, weights, y, out, 3 * (y * width + x))
                }
            }
        }
    }

    /// Pillow adds up the step from pixel to pixel, which rounds otherwise than a product.
    private func nearest(width outWidth: Int, height outHeight: Int, box: Box) throws -> Pixels {
        func places(_ from: Float, _ to: Float, _ out: Int, _ size: Int) -> [Int] {
            let step = Double(to - from) / Double(out)
            var at = Double(from) + step * 0.5
            return (0..<out).map { _ in
                defer { at += step }
                return min(max(Int(at), 0), size - 1)
            }
        }
        let columns = places(box.left, box.right, outWidth, width)
        let rows = places(box.top, box.bottom, outHeight, height)
        return try filled(width: outWidth, height: outHeight) { source, out in
            for y in 0..<outHeight {
                for x in 0..<outWidth {
                    let from = 3 * (rows[y] * width + columns[x]), to = 3 * (y * outWidth + x)
                    for channel in 0..<3 { out[to + channel] = source[from + channel] }
                }
            }
        }
    }

    private func filled(
        width: Int, height: Int, _ fill: (UnsafeBufferPointer<UInt8>, UnsafeMutableBufferPointer<UInt8>) -> Void
    ) throws -> Pixels {
        guard let count = product(3, width, height), count <= 3 * BenchProtocol.maxPixels else {
            throw Problem.input("an image of \(width) x \(height) pixels is too large: give a smaller photo")
        }
        let out = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialised in
            buffer.initialize(repeating: 0)
            bytes.withUnsafeBufferPointer { fill($0, buffer) }
            initialised = count
        }
        return try Pixels(width: width, height: height, bytes: out)
    }
}

/// One pixel of a result.
private func sum(
    _ source: UnsafeBufferPointer<UInt8>, _ start: Int, _ step: Int, _ weights: Weights, _ index: Int,
    _ out: UnsafeMutableBufferPointer<UInt8>, _ to: Int
) {
    let half = Int32(1) << (fractionBits - 1)
    var red = half, green = half, blue = half
    var at = start
    for offset in 0..<weights.count[index] {
        let weight = weights.values[index * weights.stride + offset]
        red &+= Int32(source[at]) &* weight
        green &+= Int32(source[at + 1]) &* weight
        blue &+= Int32(source[at + 2]) &* weight
        at += step
    }
    out[to] = UInt8(clamping: red >> fractionBits)
    out[to + 1] = UInt8(clamping: green >> fractionBits)
    out[to + 2] = UInt8(clamping: blue >> fractionBits)
}
