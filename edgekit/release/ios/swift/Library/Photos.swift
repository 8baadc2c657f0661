// Photos as iOS has them: CGImage and CVPixelBuffer.
#if canImport(UIKit) && canImport(CoreVideo) && canImport(VideoToolbox)
    import CoreGraphics
    import CoreVideo
    import CryptoKit
    import Foundation
    import VideoToolbox

    extension Embedder {
        /// Embed a photo. `orientation` is that of EXIF, 1 to 8: which a CGImage does not carry, a UIImage does.
        public func embed(_ image: CGImage, orientation: Int = 1) async throws -> Embedding {
            try await embed(try pixels(of: image, name: "image").upright(orientation))
        }

        /// Embed a frame of a camera or a video; of one that is not 32BGRA, VideoToolbox makes an image first.
        public func embed(_ buffer: CVPixelBuffer, orientation: Int = 1) async throws -> Embedding {
            if CVPixelBufferGetPixelFormatType(buffer) == kCVPixelFormatType_32BGRA {
                return try await embed(try pixels(of: buffer).upright(orientation))
            }
            var image: CGImage?
            VTCreateCGImageFromCVPixelBuffer(buffer, options: nil, imageOut: &image)
            guard let image else { throw Problem.input("the pixel buffer: not one that makes an image: give 32BGRA") }
            return try await embed(image, orientation: orientation)
        }

        /// Embed the golden photos and compare with what Python made of them: does this device do what was verified?
        public func selfTest() async throws -> SelfTest {
            try await selfTest(sha256: sha256(_:), decode: { try decode($0, name: $1) })
        }
    }

    private func pixels(of buffer: CVPixelBuffer) throws -> Pixels {
        guard CVPixelBufferLockBaseAddress(buffer, .readOnly) == kCVReturnSuccess,
            let base = CVPixelBufferGetBaseAddress(buffer)
        else { throw Problem.runtime("the pixel buffer cannot be read: give another") }
        defer { CVPixelBufferUnlockBaseAddress(buffer, .readOnly) }
        let width = CVPixelBufferGetWidth(buffer), height = CVPixelBufferGetHeight(buffer)
        guard let count = product(width, height), count <= BenchProtocol.maxPixels else {
            throw Problem.input("the pixel buffer has more than \(BenchProtocol.maxPixels) pixels: scale it down")
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(3 * count)
        for y in 0..<height {
            let row = (base + y * CVPixelBufferGetBytesPerRow(buffer)).assumingMemoryBound(to: UInt8.self)
            for x in 0..<width { bytes += [row[4 * x + 2], row[4 * x + 1], row[4 * x]] }
        }
        return try Pixels(width: width, height: height, bytes: bytes)
    }
#endif
