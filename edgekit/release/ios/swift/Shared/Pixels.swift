// A decoded photo and the turn that makes it upright.

/// uint8 RGB [height,width,3].
struct Pixels: Equatable, Sendable {
    let width: Int
    let height: Int
    let bytes: [UInt8]

    init(width: Int, height: Int, bytes: [UInt8]) throws {
        let most = BenchProtocol.maxPixels
        guard width > 0, height > 0, let count = product(width, height), count <= most, bytes.count == 3 * count
        else { throw Problem.input("an image of \(width) x \(height) pixels: give 1 to \(most) pixels") }
        self.width = width
        self.height = height
        self.bytes = bytes
    }

    /// The photo as it is to be seen, by its EXIF orientation; other numbers than 2 to 8 change nothing.
    func upright(_ orientation: Int) throws -> Pixels {
        guard (2...8).contains(orientation) else { return self }
        let swapped = orientation >= 5
        let upsideDown = [3, 4, 7, 8].contains(orientation)
        let mirrored = [2, 3, 6, 7].contains(orientation)
        let outWidth = swapped ? height : width
        let outHeight = swapped ? width : height
        var out = [UInt8](repeating: 0, count: bytes.count)
        for y in 0..<outHeight {
            let row = upsideDown ? outHeight - 1 - y : y
            for x in 0..<outWidth {
                let column = mirrored ? outWidth - 1 - x : x
                let from = 3 * (swapped ? column * width + row : row * width + column)
                let to = 3 * (y * outWidth + x)
                for channel in 0..<3 { out[to + channel] = bytes[from + channel] }
            }
        }
        return try Pixels(width: outWidth, height: outHeight, bytes: out)
    }

    /// The part that begins at (left, top).
    func crop(left: Int, top: Int, width cutWidth: Int, height cutHeight: Int) throws -> Pixels {
        var out: [UInt8] = []
        out.reserveCapacity(3 * cutWidth * cutHeight)
        for y in top..<top + cutHeight {
            let from = 3 * (y * width + left)
            out += bytes[from..<from + 3 * cutWidth]
        }
        return try Pixels(width: cutWidth, height: cutHeight, bytes: out)
    }

    /// This image in the middle of a larger one of one colour.
    func centred(width outWidth: Int, height outHeight: Int, fill: [UInt8]) throws -> Pixels {
        var out = [UInt8](repeating: 0, count: 3 * outWidth * outHeight)
        for at in out.indices { out[at] = fill[at % 3] }
        let left = (outWidth - width) / 2, top = (outHeight - height) / 2
        for y in 0..<height {
            let to = 3 * ((top + y) * outWidth + left), from = 3 * y * width
            out.replaceSubrange(to..<to + 3 * width, with: bytes[from..<from + 3 * width])
        }
        return try Pixels(width: outWidth, height: outHeight, bytes: out)
    }
}

/// uint8 RGB [height,width,3] as float32 [3,height,width], 0 to 255.
func fillPlanes(_ planes: inout [Float], from pixels: UnsafeBufferPointer<UInt8>) {
    let plane = pixels.count / 3
    for at in 0..<plane {
        planes[at] = Float(pixels[3 * at])
        planes[plane + at] = Float(pixels[3 * at + 1])
        planes[2 * plane + at] = Float(pixels[3 * at + 2])
    }
}
