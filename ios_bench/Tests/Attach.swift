// What both tests share: folders in the app's Documents, attachments, and one line where a run fails.
import Foundation
import XCTest

func documents(_ name: String) throws -> URL {
    let all = try FileManager.default.url(
        for: .documentDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
    let folder = all.appendingPathComponent(name, isDirectory: true)
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder), isFolder.boolValue else {
        throw Problem.input("Documents/\(name): no such folder in dev.edgekit.bench: copy it to the app first")
    }
    return folder
}

extension XCTestCase {
    func attach(_ content: Data, name: String) {
        let attachment = XCTAttachment(data: content, uniformTypeIdentifier: "public.json")
        attachment.name = name
        attachment.lifetime = .keepAlways
        add(attachment)
    }

    /// Run `work`; where it throws, the test fails with its one line.
    func reported(_ work: () async throws -> Void) async {
        do {
            try await work()
        } catch {
            let problem = Problem.from(error, doing: "the run failed", advice: "look at the log of the device")
            XCTFail("edgekit_bench: \(problem.line)")
        }
    }
}

/// The version of EdgeKit that this bundle belongs to.
func bundleVersion(of owner: AnyClass) -> String {
    Bundle(for: owner).object(forInfoDictionaryKey: "CFBundleShortVersionString") as? String ?? "unknown"
}
