// The EXIF orientation in the bytes of a JPEG or PNG file. Damaged or missing EXIF says 1: leave the photo as it is.

func orientation(of file: [UInt8]) -> Int {
    guard let tiff = file.starts(with: [0xff, 0xd8, 0xff]) ? exifOfJPEG(file) : exifOfPNG(file) else { return 1 }
    return orientation(inTIFF: tiff)
}

private func exifOfJPEG(_ file: [UInt8]) -> ArraySlice<UInt8>? {
    let start: [UInt8] = [0x45, 0x78, 0x69, 0x66, 0, 0]  // "Exif"
    var at = 2
    while at + 4 <= file.count, file[at] == 0xff {
        let marker = file[at + 1]
        if marker == 0xff {  // filling
            at += 1
            continue
        }
        if marker == 0xd8 || marker == 0x01 || (0xd0...0xd7).contains(marker) {  // without a length
            at += 2
            continue
        }
        let length = Int(file[at + 2]) << 8 | Int(file[at + 3])
        let end = at + 2 + length
        guard marker != 0xda, marker != 0xd9, length >= 2, end <= file.count else { return nil }
        let content = file[at + 4..<end]
        if marker == 0xe1, content.starts(with: start) { return content.dropFirst(start.count) }
        at = end
    }
    return nil
}

private func exifOfPNG(_ file: [UInt8]) -> ArraySlice<UInt8>? {
    guard file.starts(with: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]) else { return nil }
    var at = 8
    while at + 12 <= file.count {
        let length = file[at..<at + 4].reduce(0) { $0 << 8 | Int($1) }
        guard length <= file.count - at - 12 else { return nil }
        let isExif = file[at + 4..<at + 8].elementsEqual([0x65, 0x58, 0x49, 0x66])  // eXIf
        if isExif { return file[at + 8..<at + 8 + length] }
        at += 12 + length
    }
    return nil
}

private func orientation(inTIFF content: ArraySlice<UInt8>) -> Int {
    let bytes = [UInt8](content)
    let little = bytes.starts(with: [0x49, 0x49, 0x2a, 0])
    guard little || bytes.starts(with: [0x4d, 0x4d, 0, 0x2a]) else { return 1 }

    func number(_ at: Int, _ size: Int) -> Int? {
        guard at >= 0, at <= bytes.count - size else { return nil }
        let read = bytes[at..<at + size]
        return little ? read.reversed().reduce(0) { $0 << 8 | Int($1) } : read.reduce(0) { $0 << 8 | Int($1) }
    }

    guard let directory = number(4, 4), let entries = number(directory, 2) else { return 1 }
    let sizes = [1: 1, 3: 2, 4: 4]  // BYTE, SHORT, LONG
    for entry in 0..<entries {
        let at = directory + 2 + 12 * entry
        guard let tag = number(at, 2), let type = number(at + 2, 2), let count = number(at + 4, 4) else { return 1 }
        guard tag == 0x0112 else { continue }
        guard let size = sizes[type], count == 1, let value = number(at + 8, size) else { return 1 }
        return (1...8).contains(value) ? value : 1
    }
    return 1
}
