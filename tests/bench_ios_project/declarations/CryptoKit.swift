// https://developer.apple.com/documentation/cryptokit/sha256
import Foundation

public struct SHA256Digest: Sequence {
    public func makeIterator() -> Array<UInt8>.Iterator { fatalError() }
}

public struct SHA256 { public static func hash<D: DataProtocol>(data: D) -> SHA256Digest { fatalError() } }
