//! Taking an organization out of the store: its rows, page by page, as fields that anybody can read, and all as
//! they were at one moment.

use sea_orm::{DatabaseTransaction, QueryResult};
use sendpromptly_core::hex;
use sendpromptly_core::id::{OrganizationId, ProjectId};
use sendpromptly_core::snapshot;
use sendpromptly_core::time::Timestamp;
use serde_json::{Map, Value};

use super::attempts::answers_kept_since;
use super::rows::{self, Cell, Sql};
use super::scope::OrganizationScope;
use super::{Store, StoreError};

pub mod table;
pub mod tables;
#[cfg(test)]
mod tests;

use table::{ANSWERS_TOO_OLD, Form, Key, PAYLOADS_TOO_OLD, SealedColumn, Table, Whose};

/// Rows read at once.
const PAGE: usize = 500;

/// The rows of an organization, as they were when it was begun.
#[derive(Debug)]
pub struct Takeout {
    tx: DatabaseTransaction,
    /// When it was begun, by the clock.
    at: Timestamp,
    scope: OrganizationScope,
    projects: Vec<ProjectId>,
}

/// A row that was taken out.
#[derive(Debug)]
pub struct Line {
    /// Its fields.
    pub fields: Map<String, Value>,
    /// What it holds sealed, where that is asked for.
    pub sealed: Option<SealedField>,
}

/// A sealed value of a row.
#[derive(Debug)]
pub struct SealedField {
    /// Which column, and what it was sealed for.
    pub column: SealedColumn,
    /// Whose it is.
    pub project: ProjectId,
    /// The row that it was sealed for.
    pub row: [u8; 16],
    /// The value.
    pub bytes: Vec<u8>,
}

/// How far a table was read.
#[derive(Debug)]
pub struct Place {
    table: &'static Table,
    /// Which of the projects; of no meaning to a table that has rows of the organization itself.
    project: usize,
    after: Vec<Cell>,
}

impl Place {
    /// The beginning of a table.
    #[must_use]
    pub fn begin(table: &'static Table) -> Self {
        let after = first(table);
        Self {
            table,
            project: 0,
            after,
        }
    }
}

/// Before every key.
fn first(table: &Table) -> Vec<Cell> {
    let least = |key: &Key| match key {
        Key::Id(_) => Cell::Id([0; 16]),
        Key::Int(_) => Cell::Int(i64::MIN),
    };
    table.key.iter().map(least).collect()
}

impl Store {
    /// Begins to take an organization out; `None` where there is no such organization.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn takeout(
        &self,
        scope: OrganizationScope,
        now: Timestamp,
    ) -> Result<Option<Takeout>, StoreError> {
        let tx = self.snapshot().await?;
        let known = Sql::new("SELECT 1 AS found FROM organizations WHERE id = {} AND deleted_at IS NULL");
        if known.bind(scope.as_bytes()).one(&tx).await?.is_none() {
            return Ok(None);
        }
        let projects =
            Sql::new("SELECT id FROM projects WHERE organization_id = {} AND deleted_at IS NULL ORDER BY id");
        let found = projects.bind(scope.as_bytes()).all(&tx).await?;
        let id = |row| Ok(ProjectId::from_bytes(rows::id(row, "id")?));
        let projects = found.iter().map(id).collect::<Result<_, StoreError>>()?;
        Ok(Some(Takeout {
            tx,
            at: now,
            scope,
            projects,
        }))
    }
}

impl Takeout {
    /// Whose rows they are.
    pub(super) const fn organization(&self) -> OrganizationId {
        self.scope.id()
    }

    /// What is read here is of its moment.
    pub(super) const fn transaction(&self) -> &DatabaseTransaction {
        &self.tx
    }

    /// The next rows of a table, in the order of its key; none after the last. What they hold sealed comes along
    /// where it is asked for.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn next(&self, place: &mut Place, with_sealed: bool) -> Result<Vec<Line>, StoreError> {
        loop {
            let owner = match place.table.whose {
                Whose::Organization(_) if place.project > 0 => return Ok(Vec::new()),
                Whose::Organization(_) => *self.scope.as_bytes(),
                Whose::Project => match self.projects.get(place.project) {
                    Some(project) => *project.as_bytes(),
                    None => return Ok(Vec::new()),
                },
            };
            let page = self.page(place, owner, with_sealed).await?;
            if let Some(last) = page.last() {
                place.after = key_of(place.table, last)?;
                let line = |row| line_of(place.table, ProjectId::from_bytes(owner), row, with_sealed);
                return page.iter().map(line).collect();
            }
            place.project += 1;
            place.after = first(place.table);
        }
    }

    async fn page(
        &self,
        place: &Place,
        owner: [u8; 16],
        with_sealed: bool,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let table = place.table;
        let mut query = Sql::new(select(table, with_sealed, self.at)).bind(owner);
        for cell in &place.after {
            query = query.bind(cell.clone());
        }
        query.all(&self.tx).await
    }
}

/// The statement that reads a page of a table, after a key. What is sealed and too old by this time is there no more.
fn select(table: &Table, with_sealed: bool, at: Timestamp) -> String {
    let mut columns: Vec<String> = Vec::new();
    for (index, key) in table.key.iter().enumerate() {
        columns.push(format!("{} AS k{index}", key.sql()));
    }
    for column in table.columns {
        columns.push(format!("{} AS \"{}\"", column.sql, column.name));
    }
    if let Some(sealed) = table.sealed.filter(|_| with_sealed) {
        columns.push(format!("{} AS sealed_value", sealed.sql));
        columns.push(format!("{} AS sealed_row", sealed.row));
    }
    let keys: Vec<_> = table.key.iter().map(Key::sql).collect();
    let (keys, places) = (keys.join(", "), vec!["{}"; keys.len()].join(", "));
    let owner = match table.whose {
        Whose::Organization(column) => column,
        Whose::Project => "t.project_id",
    };
    let statement = format!(
        "SELECT {} FROM {} WHERE {owner} = {{}} AND ({keys}) > ({places}) ORDER BY {keys} LIMIT {PAGE}",
        columns.join(", "),
        table.from
    );
    let too_old = |at: Timestamp| at.as_millis().to_string();
    statement
        .replace(PAYLOADS_TOO_OLD, &too_old(snapshot::too_old_at(at)))
        .replace(ANSWERS_TOO_OLD, &too_old(answers_kept_since(at)))
}

fn key_of(table: &Table, row: &QueryResult) -> Result<Vec<Cell>, StoreError> {
    let cell = |(index, key): (usize, &Key)| {
        let column = format!("k{index}");
        Ok(match key {
            Key::Id(_) => Cell::Id(rows::id(row, &column)?),
            Key::Int(_) => Cell::Int(rows::get(row, &column)?),
        })
    };
    table.key.iter().enumerate().map(cell).collect()
}

fn line_of(
    table: &Table,
    project: ProjectId,
    row: &QueryResult,
    with_sealed: bool,
) -> Result<Line, StoreError> {
    let mut fields = Map::new();
    for column in table.columns {
        fields.insert(column.name.to_owned(), value(row, column.name, column.form)?);
    }
    let mut sealed = None;
    if let Some(column) = table.sealed.filter(|_| with_sealed)
        && let Some(bytes) = rows::get::<Option<Vec<u8>>>(row, "sealed_value")?
    {
        sealed = Some(SealedField {
            column,
            project,
            row: rows::id(row, "sealed_row")?,
            bytes,
        });
    }
    Ok(Line { fields, sealed })
}

fn value(row: &QueryResult, name: &str, form: Form) -> Result<Value, StoreError> {
    let of_time = |millis| Value::from(Timestamp::from_millis(millis).to_string());
    let number = || rows::get::<Option<i64>>(row, name);
    let text = || rows::get::<Option<String>>(row, name);
    Ok(match form {
        Form::Id(prefix) => rows::optional_id(row, name)?
            .map(|id| format!("{prefix}{}", hex::encode(&id)))
            .into(),
        Form::Time => number()?.map_or(Value::Null, of_time),
        Form::Number => number()?.into(),
        Form::Flag => number()?.map(|flag| flag != 0).into(),
        Form::Text => text()?.into(),
        Form::Origin => text()?.map(|url| origin(&url)).into(),
    })
}

/// A URL without its path, which may hold a secret.
fn origin(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| String::new(), |url| url.origin().ascii_serialization())
}
