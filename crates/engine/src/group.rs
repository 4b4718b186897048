//! Tasks of the runtime that belong together: when one fails, all end.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use godwit_model::error::{Class, Error, Result};

/// Several tasks with one end. Dropped, they are aborted.
#[derive(Debug)]
pub(crate) struct Group<T = ()> {
    tasks: JoinSet<Result<T>>,
    stop: CancellationToken,
    cancel: CancellationToken,
    /// What one of them is called in an error.
    name: &'static str,
}

impl<T: Send + 'static> Group<T> {
    /// `cancel` asks all of them to stop; `name` as in "a copy worker failed".
    pub(crate) fn new(name: &'static str, cancel: &CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), stop: cancel.child_token(), cancel: cancel.clone(), name }
    }

    /// With a token that its tasks know already: a failure cancels it.
    pub(crate) fn stopped_by(name: &'static str, stop: CancellationToken) -> Self {
        Self { tasks: JoinSet::new(), stop, cancel: CancellationToken::new(), name }
    }

    /// By which each learns that it is to stop: asked for, or because another one failed.
    pub(crate) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Begins one more.
    pub(crate) fn spawn(&mut self, task: impl Future<Output = Result<T>> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// What each of them gave, when all have ended.
    ///
    /// # Errors
    /// The first failure, which ends the others: what they say then explains nothing. [`Class::Cancelled`] where they were asked to stop.
    pub(crate) async fn finish(mut self) -> Result<Vec<T>> {
        let mut given = Vec::new();
        let mut failure: Option<Error> = None;
        while let Some(result) = self.next().await {
            match result {
                Ok(one) => given.push(one),
                Err(error) => {
                    self.stop.cancel();
                    if failure.as_ref().is_none_or(|known| known.class() == Class::Cancelled) {
                        failure = Some(error);
                    }
                }
            }
        }
        match failure {
            Some(error) => Err(error),
            None if self.cancel.is_cancelled() => Err(Error::cancelled()),
            None => Ok(given),
        }
    }

    /// The first failure; never, as long as there is none.
    pub(crate) async fn failure(&mut self) -> Error {
        loop {
            match self.next().await {
                None => std::future::pending::<()>().await,
                Some(Ok(_)) => {}
                Some(Err(error)) => return error,
            }
        }
    }

    /// Asks all to stop, and waits; who takes longer is aborted.
    ///
    /// # Errors
    /// The last one that a task ended with.
    pub(crate) async fn end(mut self, within: Duration) -> Result<()> {
        self.stop.cancel();
        let mut result = Ok(());
        let ending = async {
            while let Some(ended) = self.next().await {
                if let Err(error) = ended {
                    result = Err(error);
                }
            }
        };
        // The group goes with this call, and aborts what is left.
        let _ = tokio::time::timeout(within, ending).await;
        result
    }

    async fn next(&mut self) -> Option<Result<T>> {
        let joined = self.tasks.join_next().await?;
        Some(joined.unwrap_or_else(|error| Err(Error::definite(format!("{} failed: {error}", self.name)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_failure_ends_the_others_and_is_the_one_told() {
        let cancel = CancellationToken::new();
        let mut group: Group<u8> = Group::new("a part", &cancel);
        let stop = group.stop();
        group.spawn(async move {
            stop.cancelled().await;
            Err(Error::cancelled())
        });
        group.spawn(async { Err(Error::transient("the disk is full")) });
        group.spawn(async { Ok(1) });
        assert_eq!(group.finish().await.unwrap_err().to_string(), "the disk is full");
        assert!(!cancel.is_cancelled(), "others that were asked for by the same token go on");
    }

    #[tokio::test]
    async fn what_panics_is_an_error_and_what_was_stopped_is_told_so() {
        let cancel = CancellationToken::new();
        let mut group: Group = Group::new("a part", &cancel);
        group.spawn(async { panic!("no") });
        assert!(group.finish().await.unwrap_err().to_string().starts_with("a part failed: "));
        let mut group: Group<u8> = Group::new("a part", &cancel);
        group.spawn(async { Ok(1) });
        cancel.cancel();
        assert_eq!(group.finish().await.unwrap_err().class(), Class::Cancelled);
    }

    #[tokio::test]
    async fn who_does_not_stop_is_aborted() {
        let mut group: Group = Group::new("a part", &CancellationToken::new());
        let (held, gone) = tokio::sync::oneshot::channel::<()>();
        group.spawn(async move {
            let _held = held;
            std::future::pending().await
        });
        group.end(Duration::from_millis(20)).await.unwrap();
        gone.await.unwrap_err();
    }
}
