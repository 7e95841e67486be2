use std::time::Duration;

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// Pauses before a task is begun again: the first, and the longest that doubling leads to.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Who has run for so long has recovered: the next pause is the first again.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);

/// Owns a task: one that panics is begun again, until it ends by itself or the token is cancelled. A task that is cancelled
/// is waited for.
pub async fn keep_running<F>(name: &'static str, token: CancellationToken, begin: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (mut pause, longest) = PAUSES;
    loop {
        let began = Instant::now();
        // A set of one: it ends with its owner.
        let mut task = JoinSet::new();
        task.spawn(begin());
        let Some(Err(error)) = task.join_next().await else {
            return;
        };
        tracing::error!(task = name, %error, "the task {name} panicked and is begun again");
        if began.elapsed() > RECOVERED_AFTER {
            pause = PAUSES.0;
        }
        tokio::select! {
            () = token.cancelled() => return,
            () = sleep(pause) => (),
        }
        pause = (pause * 2).min(longest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn a_task_that_panics_is_begun_again() {
        let began = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&began);
        keep_running("test", CancellationToken::new(), move || {
            let count = counted.fetch_add(1, Ordering::SeqCst);
            async move {
                tokio::task::yield_now().await;
                assert!(count == 3, "injected");
            }
        })
        .await;
        assert_eq!(began.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn a_task_that_keeps_panicking_ends_with_the_token_and_takes_no_core_before() {
        let began = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&began);
        let token = CancellationToken::new();
        let running = keep_running("test", token.clone(), move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async { panic!("injected") }
        });
        let started = Instant::now();
        let cancelling = async {
            while began.load(Ordering::SeqCst) < 3 {
                sleep(Duration::from_millis(5)).await;
            }
            token.cancel();
        };
        tokio::join!(running, cancelling);
        assert!(
            started.elapsed() >= PAUSES.0 * 3,
            "after a pause and a doubled one"
        );
        assert_eq!(began.load(Ordering::SeqCst), 3);
    }
}
