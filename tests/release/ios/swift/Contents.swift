// What a package's generated Contents.swift gives, for tests that compile the library without one.
import Foundation

enum Contents {
    static let space = "tests"
    static let models: [PackagedModel] = []
}
