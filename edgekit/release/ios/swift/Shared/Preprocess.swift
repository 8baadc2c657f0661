// The reference preprocessing: scale and crop as edgekit/data/images.py does, equal for equal decoded pixels.
import Foundation

enum CropMode: String, CaseIterable, Sendable { case center, squash, border }

struct Preprocessing: Sendable {
    let height: Int
    let width: Int
    let interpolation: Interpolation
    let cropPct: Double
    let cropMode: CropMode
    let fill: [UInt8]

    /// The size that the whole photo is scaled to, before the crop.
    func scaledSize(of photo: Pixels) -> (height: Int, width: Int) {
        let targetHeight = Int((Double(height) / cropPct).rounded(.down))
        let targetWidth = Int((Double(width) / cropPct).rounded(.down))
        if cropMode == .squash { return (targetHeight, targetWidth) }
        if cropMode == .center && targetHeight == targetWidth {
            let longer = max(photo.height, photo.width), shorter = min(photo.height, photo.width)
            let long = Int(Double(targetHeight * longer) / Double(shorter))
            return photo.height <= photo.width ? (targetHeight, long) : (long, targetHeight)
        }
        let down = Double(photo.height) / Double(targetHeight), across = Double(photo.width) / Double(targetWidth)
        let ratio = cropMode == .border ? max(down, across) : min(down, across)
        return (max(evenly(Double(photo.height) / ratio), 1), max(evenly(Double(photo.width) / ratio), 1))
    }

    func apply(to photo: Pixels) throws -> Pixels {
        guard Double(min(height, width)) / cropPct >= 1 else {
            throw Problem.input("\(height) x \(width) with crop_pct \(cropPct) leave no pixel: use a smaller crop_pct")
        }
        let scaled = scaledSize(of: photo)
        let top = max(evenly(Double(scaled.height - height) / 2), 0)
        let left = max(evenly(Double(scaled.width - width) / 2), 0)
        let seenHeight = min(scaled.height, height), seenWidth = min(scaled.width, width)
        var image = photo
        if let count = product(scaled.height, scaled.width), count <= BenchProtocol.maxPixels {
            if (photo.height, photo.width) != scaled {
                image = try photo.resized(width: scaled.width, height: scaled.height, by: interpolation)
            }
            image = try image.crop(left: left, top: top, width: seenWidth, height: seenHeight)
        } else {
            let down = Double(photo.height) / Double(scaled.height), across = Double(photo.width) / Double(scaled.width)
            let part = Box(
                left: Float(Double(left) * across), top: Float(Double(top) * down),
                right: Float(Double(left + seenWidth) * across), bottom: Float(Double(top + seenHeight) * down))
            image = try photo.resized(width: seenWidth, height: seenHeight, by: interpolation, part: part)
        }
        if (seenHeight, seenWidth) == (height, width) { return image }
        return try image.centred(width: width, height: height, fill: fill)
    }
}

/// Python's round: half to even.
private func evenly(_ value: Double) -> Int { Int(value.rounded(.toNearestOrEven)) }
