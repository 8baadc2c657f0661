// https://developer.apple.com/documentation/cryptokit
// Unlike most declarations these work, over OpenSSL's libcrypto, so that what calls them runs on Linux as it stands.
import Foundation
import Glibc

public struct SHA256Digest: Sequence, Equatable {
    let bytes: [UInt8]
    public func makeIterator() -> Array<UInt8>.Iterator { bytes.makeIterator() }
}

public struct SHA256 {
    private final class Context {
        let pointer = Libcrypto.newContext()
        deinit { Libcrypto.freeContext(pointer) }
    }
    private let context = Context()

    public init() { precondition(Libcrypto.startDigest(context.pointer, Libcrypto.sha256(), nil) == 1) }

    public mutating func update<D: DataProtocol>(data: D) {
        for region in data.regions {
            region.withUnsafeBytes { precondition(Libcrypto.digest(context.pointer, $0.baseAddress, $0.count) == 1) }
        }
    }

    public func finalize() -> SHA256Digest {
        var bytes = [UInt8](repeating: 0, count: 32)
        precondition(Libcrypto.endDigest(context.pointer, &bytes, nil) == 1)
        return SHA256Digest(bytes: bytes)
    }

    public static func hash<D: DataProtocol>(data: D) -> SHA256Digest {
        var hash = SHA256()
        hash.update(data: data)
        return hash.finalize()
    }
}

public enum P256 {
    public enum Signing {
        public struct ECDSASignature {
            let der: [UInt8]
            public init<D: DataProtocol>(derRepresentation: D) throws {
                der = Array(derRepresentation)
                guard der.first == 0x30 else { throw CocoaError(.coderInvalidValue) }
            }
        }

        public struct PublicKey: Sendable {
            private static let prefix: [UInt8] = [
                0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
                0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
            ]
            let der: [UInt8]

            public init<Bytes: RandomAccessCollection<UInt8>>(derRepresentation: Bytes) throws {
                der = Array(derRepresentation)
                guard der.count == 91, der.starts(with: PublicKey.prefix), PublicKey.open(der) != nil else {
                    throw CocoaError(.coderInvalidValue)
                }
            }

            public init(pemRepresentation: String) throws {
                let lines = pemRepresentation.split(whereSeparator: \.isNewline)
                guard lines.first == "-----BEGIN PUBLIC KEY-----", lines.last == "-----END PUBLIC KEY-----",
                    let der = Data(base64Encoded: lines.dropFirst().dropLast().joined())
                else { throw CocoaError(.coderInvalidValue) }
                try self.init(derRepresentation: der)
            }

            public func isValidSignature<D: DataProtocol>(_ signature: ECDSASignature, for data: D) -> Bool {
                let context = Libcrypto.newContext(), key = PublicKey.open(der), content = Array(data)
                defer {
                    Libcrypto.freeContext(context)
                    Libcrypto.freeKey(key)
                }
                return Libcrypto.startVerify(context, nil, Libcrypto.sha256(), nil, key) == 1
                    && Libcrypto.verify(context, signature.der, signature.der.count, content, content.count) == 1
            }

            private static func open(_ der: [UInt8]) -> OpaquePointer? {
                der.withUnsafeBufferPointer { bytes in
                    var at = bytes.baseAddress
                    return Libcrypto.readKey(nil, &at, der.count)
                }
            }
        }
    }
}

typealias NewContext = @convention(c) () -> OpaquePointer?
typealias Free = @convention(c) (OpaquePointer?) -> Void
typealias StartDigest = @convention(c) (OpaquePointer?, OpaquePointer?, OpaquePointer?) -> Int32
typealias Digest = @convention(c) (OpaquePointer?, UnsafeRawPointer?, Int) -> Int32
typealias EndDigest = @convention(c) (
    OpaquePointer?, UnsafeMutablePointer<UInt8>?, UnsafeMutablePointer<UInt32>?
) -> Int32
typealias ReadKey = @convention(c) (
    OpaquePointer?, UnsafeMutablePointer<UnsafePointer<UInt8>?>?, Int
) -> OpaquePointer?
typealias StartVerify = @convention(c) (
    OpaquePointer?, OpaquePointer?, OpaquePointer?, OpaquePointer?, OpaquePointer?
) -> Int32
typealias Verify = @convention(c) (OpaquePointer?, UnsafePointer<UInt8>?, Int, UnsafePointer<UInt8>?, Int) -> Int32

/// The functions of libcrypto that are called here, found when the program runs: no header of it is needed.
private enum Libcrypto {
    static let newContext = function("EVP_MD_CTX_new", as: NewContext.self)
    static let freeContext = function("EVP_MD_CTX_free", as: Free.self)
    static let sha256 = function("EVP_sha256", as: NewContext.self)
    static let startDigest = function("EVP_DigestInit_ex", as: StartDigest.self)
    static let digest = function("EVP_DigestUpdate", as: Digest.self)
    static let endDigest = function("EVP_DigestFinal_ex", as: EndDigest.self)
    static let readKey = function("d2i_PUBKEY", as: ReadKey.self)
    static let freeKey = function("EVP_PKEY_free", as: Free.self)
    static let startVerify = function("EVP_DigestVerifyInit", as: StartVerify.self)
    static let verify = function("EVP_DigestVerify", as: Verify.self)

    private static func function<Function>(_ name: String, as type: Function.Type) -> Function {
        guard let found = dlsym(dlopen("libcrypto.so.3", RTLD_NOW), name) else {
            fatalError("libcrypto.so.3 has no \(name)")
        }
        return unsafeBitCast(found, to: type)
    }
}
