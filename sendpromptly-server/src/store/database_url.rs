//! Where a database is, as an option names it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::Dialect;

/// Where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL database; the text may hold a password.
    Postgres(String),
}

/// Why a text names no database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be sqlite://PATH (sqlite:///var/lib/app.db) or postgres://USER@HOST/DATABASE")]
pub struct DatabaseUrlError;

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            let plain = !path.is_empty() && !path.contains('?') && !path.starts_with(':');
            return if plain {
                Ok(Self::Sqlite(path.into()))
            } else {
                Err(DatabaseUrlError)
            };
        }
        let scheme = ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        let parsed = url::Url::parse(text).is_ok();
        if scheme && parsed {
            Ok(Self::Postgres(text.to_owned()))
        } else {
            Err(DatabaseUrlError)
        }
    }
}

impl DatabaseUrl {
    /// Which kind of database it names.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Whether a password stands in it.
    #[must_use]
    pub fn holds_password(&self) -> bool {
        let Self::Postgres(text) = self else { return false };
        url::Url::parse(text).is_ok_and(|url| {
            url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
        })
    }
}

impl fmt::Display for DatabaseUrl {
    /// Without user, password or parameters: fit for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres(text) => match url::Url::parse(text) {
                Ok(url) => write!(
                    f,
                    "postgres://{}{}",
                    url.host_str().unwrap_or("localhost"),
                    url.path()
                ),
                Err(_) => f.write_str("postgres://"),
            },
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_by_a_sqlite_path_or_a_postgres_url() {
        let sqlite = |path: &str| Ok(DatabaseUrl::Sqlite(path.into()));
        assert_eq!("sqlite:///var/lib/a.db".parse(), sqlite("/var/lib/a.db"));
        assert_eq!("sqlite://a.db".parse(), sqlite("a.db"));
        for wrong in [
            "",
            "a.db",
            "sqlite://",
            "sqlite://:memory:",
            "mysql://h/d",
            "postgres:/h",
            "sqlite://a?b=1",
        ] {
            assert_eq!(wrong.parse::<DatabaseUrl>(), Err(DatabaseUrlError), "{wrong}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_not_shown() {
        let url: DatabaseUrl = "postgres://me:hunter2@db.internal:5433/pay?sslmode=require"
            .parse()
            .unwrap();
        assert_eq!(
            format!("{url} {url:?}"),
            "postgres://db.internal/pay postgres://db.internal/pay"
        );
    }
}
