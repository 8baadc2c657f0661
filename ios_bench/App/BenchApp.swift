// The host app of the tests: it keeps the screen on, so that iOS does not put the app to sleep while it measures.
import SwiftUI
import UIKit

@main
struct BenchApp: App {
    var body: some Scene {
        WindowGroup {
            Text("EdgeKit measures. Leave this app in front.")
                .onAppear { UIApplication.shared.isIdleTimerDisabled = true }
        }
    }
}
