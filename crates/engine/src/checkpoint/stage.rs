//! How far a task and its tables have come.

use serde::{Deserialize, Serialize};

use godwit_model::error::{Error, Result};

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    /// Recorded, nothing made at the destination yet.
    Starting,
    /// Every table exists.
    SchemaMade,
    /// Every row is copied and every index is there; only the log is followed.
    Following,
    /// The rows were compared, as the manifest asked.
    Verified,
    /// The task has reached its end.
    Completed,
    /// Stopped for good: no engine may write for it again.
    Stopped,
}

impl Stage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Starting => "Starting",
            Stage::SchemaMade => "SchemaMade",
            Stage::Following => "Following",
            Stage::Verified => "Verified",
            Stage::Completed => "Completed",
            Stage::Stopped => "Stopped",
        }
    }

    pub(crate) fn parse(name: &str) -> Result<Self> {
        [Stage::Starting, Stage::SchemaMade, Stage::Following, Stage::Verified, Stage::Completed, Stage::Stopped]
            .into_iter()
            .find(|stage| stage.name() == name)
            .ok_or_else(|| {
                Error::definite(format!("the record holds an unknown stage {name:?}; it was written by a newer version"))
            })
    }
}

/// What has become of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableStage {
    /// Not created by this task yet.
    Planned,
    /// CREATE TABLE is about to run or has run; found existing after a crash, it is this task's own.
    Creating,
    /// Exists.
    Created,
    /// It was empty when its copy from a snapshot began: rows that stand there are this task's own.
    Copying,
    /// All rows are there, secondary indexes and foreign keys perhaps not.
    Copied,
    /// Nothing left to do but to follow.
    Done,
}

impl TableStage {
    /// In the order of their numbers.
    const ALL: [TableStage; 6] = [
        TableStage::Planned,
        TableStage::Creating,
        TableStage::Created,
        TableStage::Copied,
        TableStage::Done,
        TableStage::Copying,
    ];

    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Planned => 0,
            Self::Creating => 1,
            Self::Created => 2,
            Self::Copied => 3,
            Self::Done => 4,
            Self::Copying => 5,
        }
    }

    pub(crate) fn parse(number: u32) -> Result<Self> {
        Self::ALL
            .get(number as usize)
            .copied()
            .ok_or_else(|| Error::definite(format!("the record holds an unknown table stage {number}")))
    }
}
