// A photo's pixels as they are stored: not turned by EXIF, without colour management, transparency on white.
#if canImport(UIKit)
    import CoreGraphics
    import Foundation
    import UIKit

    func decode(_ file: [UInt8], name: String) throws -> Pixels {
        guard let image = UIImage(data: Data(file))?.cgImage else {
            throw Problem.input("\(shown(name)): cannot be decoded: replace the photo")
        }
        return try pixels(of: image, name: name)
    }

    /// A decoded image's pixels.
    func pixels(of image: CGImage, name: String) throws -> Pixels {
        guard let count = product(image.width, image.height), count <= BenchProtocol.maxPixels else {
            throw Problem.input("\(shown(name)): has more than \(BenchProtocol.maxPixels) pixels: scale the photo down")
        }
        let grey = image.colorSpace?.model == .monochrome
        return try draw(
            image, count: count, name: name,
            space: grey ? CGColorSpaceCreateDeviceGray() : CGColorSpaceCreateDeviceRGB(),
            channels: grey ? 1 : 4, info: grey ? .none : .noneSkipLast)
    }

    /// The image's own profile is replaced by the context's: samples then pass unchanged.
    private func draw(
        _ image: CGImage, count: Int, name: String, space: CGColorSpace, channels: Int, info: CGImageAlphaInfo
    ) throws -> Pixels {
        let width = image.width, height = image.height
        var samples = [UInt8](repeating: 255, count: channels * count)
        let drawn = samples.withUnsafeMutableBytes { buffer -> Bool in
            guard
                let context = CGContext(
                    data: buffer.baseAddress, width: width, height: height, bitsPerComponent: 8,
                    bytesPerRow: channels * width, space: space, bitmapInfo: info.rawValue)
            else { return false }
            context.interpolationQuality = .none
            context.draw(image.copy(colorSpace: space) ?? image, in: CGRect(x: 0, y: 0, width: width, height: height))
            return true
        }
        guard drawn else { throw Problem.runtime("\(shown(name)): no memory for its pixels: give a smaller photo") }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(3 * count)
        for at in stride(from: 0, to: samples.count, by: channels) {
            bytes += channels == 1 ? [samples[at], samples[at], samples[at]] : samples[at..<at + 3]
        }
        return try Pixels(width: width, height: height, bytes: bytes)
    }
#endif
