// The SHA-256 of a file, as documents write it.
import CryptoKit
import Foundation

@Sendable func hexadecimal(_ file: [UInt8]) -> String {
    SHA256.hash(data: Data(file)).map { byte in
        let digits = String(byte, radix: 16)
        return digits.count == 1 ? "0" + digits : digits
    }.joined()
}
