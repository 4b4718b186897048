//! Names of stored programs.

/// What a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProgramKind {
    /// In the order in which they are made: views and the others may call functions.
    Function,
    Procedure,
    Trigger,
    Event,
}

impl ProgramKind {
    /// As it stands in CREATE and SHOW CREATE.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Function => "FUNCTION",
            Self::Procedure => "PROCEDURE",
            Self::Trigger => "TRIGGER",
            Self::Event => "EVENT",
        }
    }

    /// As messages say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Procedure => "procedure",
            Self::Trigger => "trigger",
            Self::Event => "event",
        }
    }
}

/// A program by its kind and name: a procedure and a function may share a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgramName {
    pub kind: ProgramKind,
    pub database: String,
    pub name: String,
}

impl std::fmt::Display for ProgramName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}.{}", self.kind.word(), self.database, self.name)
    }
}
