// Arrays as runtimes hold them: images as planes, and elements with padding between them.

/// uint8 RGB [height,width,3] as float32 [3,height,width], 0 to 255.
func fillPlanes(_ planes: inout [Float], from pixels: UnsafeBufferPointer<UInt8>) {
    let plane = pixels.count / 3
    for at in 0..<plane {
        planes[at] = Float(pixels[3 * at])
        planes[plane + at] = Float(pixels[3 * at + 1])
        planes[2 * plane + at] = Float(pixels[3 * at + 2])
    }
}

/// Where the elements lie, in row-major order; strides are in elements.
func offsets(shape: [Int], strides: [Int]) -> [Int] {
    zip(shape, strides).reduce([0]) { known, axis in
        known.flatMap { start in (0..<axis.0).map { start + $0 * axis.1 } }
    }
}
