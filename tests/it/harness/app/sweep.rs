//! The sweep in a story, and what GitHub does when it is asked.

use std::time::Duration;

use super::Tester;

/// Longer than the pause between two looks at one place.
pub(crate) const INTERVAL: Duration = Duration::from_secs(301);
/// Longer than a webhook may take.
pub(crate) const GRACE: Duration = Duration::from_secs(121);

impl Tester {
    /// The service looks for what webhooks did not bring, and does what follows. How much it has asked for and made.
    pub(crate) async fn sweep(&self) -> usize {
        let recovered = self.app().engine.recover().await.expect("the database is there");
        self.settle().await;
        recovered
    }

    /// The same when so much time has passed.
    pub(crate) async fn sweep_after(&self, span: Duration) -> usize {
        self.clock.advance(span);
        self.sweep().await
    }

    /// GitHub delivers again what it was asked for; it must be taken. How many.
    pub(crate) async fn redelivered(&self) -> usize {
        let asked = self.github.asked();
        for delivery in &asked {
            self.deliver(delivery.clone()).await;
            self.github.tried(delivery.clone(), 202);
        }
        self.settle().await;
        asked.len()
    }
}
