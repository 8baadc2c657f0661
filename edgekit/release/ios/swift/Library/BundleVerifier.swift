// Checks a bundle that an app downloaded, before anything of it is opened: the signature with a pinned key, then the
// SHA-256 of every file, no file more and none less, then what the bundle says of itself. It works offline.
#if canImport(CryptoKit)
    import CryptoKit
    import Foundation

    public struct BundleVerifier: Sendable {
        /// What the app wants of a bundle; nil leaves it open.
        public struct Expectations: Sendable {
            public var name: String?
            public var minimumVersion: String?
            public var space: String?

            public init(name: String? = nil, minimumVersion: String? = nil, space: String? = nil) {
                self.name = name
                self.minimumVersion = minimumVersion
                self.space = space
            }
        }

        private let key: P256.Signing.PublicKey

        /// `publicKey` is the publisher's, PEM as `openssl ec -pubout` writes it. It belongs into the app, not beside a
        /// bundle.
        public init(publicKey: String) throws {
            guard let key = try? P256.Signing.PublicKey(pemRepresentation: publicKey) else { throw Self.noKey }
            self.key = key
        }

        /// `publicKey` is a SubjectPublicKeyInfo, DER.
        public init(publicKey: Data) throws {
            guard let key = try? P256.Signing.PublicKey(derRepresentation: publicKey) else { throw Self.noKey }
            self.key = key
        }

        private static var noKey: Problem { .input("the public key: not one on P-256: give SubjectPublicKeyInfo") }

        /// Verify a bundle that is a folder, signed by the `model.sig` at its root. Throws a Refusal.
        public func verify(folder: URL, expecting: Expectations = Expectations()) throws -> VerifiedBundle {
            let signature = folder.appendingPathComponent(Limits.signatureName)
            let signed = try Statement(signature: signature, key: key).folder()
            let found = try Listing(of: folder)
            if let missing = signed.keys.filter({ found.files[$0] == nil }).min() {
                throw Refusal(.fileMissing, missing)
            }
            if let extra = found.files.keys.filter({ signed[$0] == nil }).min() { throw Refusal(.fileExtra, extra) }
            var sizes: [String: Int] = [:]
            for (name, digest) in signed.sorted(by: { $0.key < $1.key }) {
                guard let read = sha256(of: folder.appendingPathComponent(name)), read.digest == digest else {
                    throw Refusal(.fileChanged, name)
                }
                sizes[name] = read.bytes
            }
            let document = try? readFile(
                folder.appendingPathComponent(VerifiedBundle.document), name: VerifiedBundle.document,
                most: Limits.documentBytes)
            let bundle = try VerifiedBundle(document: document, root: folder)
            try bundle.check(files: signed, sizes: sizes)
            try bundle.check(expecting)
            return bundle
        }

        /// Verify a ZIP archive by the signature over the whole file, which lies beside it with ".sig" after its name,
        /// and put its files into `folder`, all or none. What was at their place is replaced. Throws a Refusal. The
        /// archive may lie where others can write: what is verified and taken is a copy, which costs no room on APFS.
        public func unpack(
            archive: URL, signature: URL? = nil, into folder: URL, expecting: Expectations = Expectations()
        ) throws -> VerifiedBundle {
            let digest = try signedDigest(of: archive, signature: signature)
            try expectArchive(archive)
            let files = FileManager.default, unique = UUID().uuidString, name = archive.lastPathComponent
            let aside = files.temporaryDirectory.appendingPathComponent(unique, isDirectory: true)
            let draft = folder.appendingPathComponent(".\(unique)", isDirectory: true)
            let copy = aside.appendingPathComponent(name)
            defer { for made in [aside, draft] { try? files.removeItem(at: made) } }
            do {
                try files.createDirectory(at: aside, withIntermediateDirectories: true)
                try files.copyItem(at: archive, to: copy)
            } catch {
                throw Problem.from(error, doing: "\(name): cannot be copied", advice: "free some space")
            }
            let (zip, bundle) = try read(archive: copy, digest: digest, expecting: expecting)
            let place = folder.appendingPathComponent(zip.top, isDirectory: true)
            do {
                for member in zip.members {
                    let file = draft.appendingPathComponent(member.name)
                    try files.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                    try zip.content(member).write(to: file)
                }
                try? files.removeItem(at: place)
                try files.moveItem(at: draft, to: place)
            } catch {
                throw Problem.from(error, doing: "\(zip.top): cannot be unpacked", advice: "free some space")
            }
            return bundle.moved(to: place)
        }

        /// Verify a ZIP archive and leave it as it is. Throws a Refusal.
        public func verify(
            archive: URL, signature: URL? = nil, expecting: Expectations = Expectations()
        ) throws -> VerifiedBundle {
            let digest = try signedDigest(of: archive, signature: signature)
            return try read(archive: archive, digest: digest, expecting: expecting).1
        }

        private func signedDigest(of archive: URL, signature: URL?) throws -> String {
            let beside = archive.appendingPathExtension(String(Limits.archiveSignatureSuffix.dropFirst()))
            return try Statement(signature: signature ?? beside, key: key).archive()
        }

        private func expectArchive(_ archive: URL) throws {
            let name = archive.lastPathComponent
            guard let facts = try? FileManager.default.attributesOfItem(atPath: archive.path) else {
                throw Refusal(.fileMissing, name)
            }
            guard facts[.type] as? FileAttributeType == .typeRegular else { throw Refusal(.notAPlainFile, name) }
            guard let size = (facts[.size] as? NSNumber)?.intValue, size <= Limits.totalBytes else {
                throw Refusal(.tooLarge, name)
            }
        }

        private func read(
            archive: URL, digest: String, expecting: Expectations
        ) throws -> (StoredZip, VerifiedBundle) {
            try expectArchive(archive)
            guard let data = try? Data(contentsOf: archive, options: .mappedIfSafe),
                hexadecimal(SHA256.hash(data: data)) == digest
            else { throw Refusal(.fileChanged, archive.lastPathComponent) }
            let zip = try StoredZip(data)
            let contents = Dictionary(uniqueKeysWithValues: zip.members.map { ($0.name, $0) })
            let document = contents[VerifiedBundle.document].flatMap { member in
                member.content.count <= Limits.documentBytes ? [UInt8](zip.content(member)) : nil
            }
            let bundle = try VerifiedBundle(document: document, root: archive)
            try bundle.check(
                files: contents.mapValues { hexadecimal(SHA256.hash(data: zip.content($0))) },
                sizes: contents.mapValues { $0.content.count })
            try bundle.check(expecting)
            return (zip, bundle)
        }
    }

    /// All regular files below a folder, without its signature; empty folders do not count.
    private struct Listing {
        private(set) var files: [String: Int] = [:]
        private var total = 0

        init(of root: URL) throws {
            var names: [String] = []
            try collect(root, below: "", into: &names)
            try BundleNames.check(names)
            guard files.count <= Limits.files else { throw Refusal(.tooManyFiles, "\(files.count)") }
            guard total <= Limits.totalBytes else { throw Refusal(.tooLarge, "\(total) bytes") }
        }

        private mutating func collect(_ folder: URL, below: String, into names: inout [String]) throws {
            let manager = FileManager.default
            guard let inside = try? manager.contentsOfDirectory(atPath: folder.path) else {
                throw Refusal(.fileMissing, below.isEmpty ? folder.lastPathComponent : below)
            }
            // One more than the bound is enough to refuse a folder that never ends.
            guard names.count + inside.count <= 2 * Limits.files else { throw Refusal(.tooManyFiles, below) }
            for part in inside.sorted() {
                let name = below + part
                if name == Limits.signatureName { continue }
                let file = folder.appendingPathComponent(part)
                let facts = try? manager.attributesOfItem(atPath: file.path)
                switch facts?[.type] as? FileAttributeType {
                case FileAttributeType.typeRegular?:
                    files[name] = (facts?[.size] as? NSNumber)?.intValue ?? 0
                    total += files[name] ?? 0
                    names.append(name)
                case FileAttributeType.typeDirectory?:
                    guard name.utf8.count <= BundleNames.longest else { throw Refusal(.badName, name) }
                    try collect(file, below: name + "/", into: &names)
                default: throw Refusal(.notAPlainFile, name)
                }
            }
        }
    }
#endif
