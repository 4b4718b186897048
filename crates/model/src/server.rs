//! What a server is.

/// MySQL or MariaDB; managed services are one of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    MySql,
    MariaDb,
}

/// What a server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    pub flavor: Flavor,
    /// major, minor, patch.
    pub version: (u16, u16, u16),
    /// `SELECT VERSION()`.
    pub version_text: String,
}

impl ServerInfo {
    /// Reads `8.0.36-28`, `5.5.5-10.11.6-MariaDB-log`, `11.4.5-MariaDB`.
    pub fn parse(version_text: &str) -> Self {
        let flavor = if version_text.contains("MariaDB") { Flavor::MariaDb } else { Flavor::MySql };
        let text = version_text.strip_prefix("5.5.5-").filter(|_| flavor == Flavor::MariaDb).unwrap_or(version_text);
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u16>().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self { flavor, version: (next(), next(), next()), version_text: version_text.to_owned() }
    }

    /// MySQL of at least this version.
    pub fn is_mysql_since(&self, major: u16, minor: u16, patch: u16) -> bool {
        self.flavor == Flavor::MySql && self.version >= (major, minor, patch)
    }

    /// Whether rows that foreign keys change are in the binary log: from MySQL 9.6 on, unless InnoDB is told to carry
    /// cascades out itself (`innodb_native_foreign_keys`).
    pub fn logs_cascades(&self, native_foreign_keys: Option<bool>) -> bool {
        self.is_mysql_since(9, 6, 0) && native_foreign_keys != Some(true)
    }

    /// MariaDB of any version.
    pub fn is_mariadb(&self) -> bool {
        self.flavor == Flavor::MariaDb
    }

    /// The statement that shows the log's end: `SHOW MASTER STATUS` is gone since MySQL 8.4.
    pub fn log_status_statement(&self) -> &'static str {
        if self.is_mysql_since(8, 2, 0) { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" }
    }
}
