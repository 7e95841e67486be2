//! Faults on demand, for tests.

use std::sync::LazyLock;

use tokio::sync::broadcast;

static PANICS: LazyLock<broadcast::Sender<String>> = LazyLock::new(|| broadcast::Sender::new(16));

/// Makes the task of that name panic, in every service of this process. Answers how many tasks heard of it.
pub fn panic_in(task: &str) -> usize {
    PANICS.send(task.to_owned()).unwrap_or(0)
}

/// The task's work, unless it is told to panic.
pub(crate) async fn until_panic(name: &'static str, work: impl Future<Output = ()>) {
    let mut panics = PANICS.subscribe();
    let told = async { while panics.recv().await.is_ok_and(|task| task != name) {} };
    tokio::select! {
        () = work => (),
        () = told => {
            #[expect(clippy::panic, reason = "that is what it is for")]
            {
                panic!("injected by a test");
            }
        }
    }
}
