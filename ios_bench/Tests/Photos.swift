// How this device reads photos, for golden folders and for jobs.
import Foundation
import ObjectiveC

extension PhotoReader {
    static let device = PhotoReader(
        pixels: { file, name in try autoreleasepool { try decode(file, name: name) } }, digest: hexadecimal)
}
