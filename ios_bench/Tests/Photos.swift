// How this device reads photos, for golden folders and for jobs.
import Foundation
import ObjectiveC

extension PhotoReader {
    static let device = PhotoReader(
        decode: { file, name in try autoreleasepool { try decode(file, name: name) } }, sha256: hexadecimal)
}
