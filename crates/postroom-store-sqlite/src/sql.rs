//! Statements and columns: every failure says which statement or which column it was.

use postroom_core::{
    AlertId, HolderId, JobId, LedgerId, MailboxId, OutboxId, PartyId, ProfileId, RecordId,
    Timestamp,
};
use rusqlite::types::FromSql;
use rusqlite::{CachedStatement, Connection, Params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::failure::{Failure, Outcome};

/// Runs a statement that changes something; answers how many rows it changed.
pub(crate) fn change(connection: &Connection, sql: &str, params: impl Params) -> Outcome<usize> {
    let context = |source| Failure::sql(sql, source);
    connection
        .prepare_cached(sql)
        .map_err(context)?
        .execute(params)
        .map_err(context)
}

/// Runs a statement that inserts one row; answers the number of the row.
pub(crate) fn insert(connection: &Connection, sql: &str, params: impl Params) -> Outcome<i64> {
    let context = |source| Failure::sql(sql, source);
    connection
        .prepare_cached(sql)
        .map_err(context)?
        .insert(params)
        .map_err(context)
}

/// The first row of a query, if there is one.
pub(crate) fn one<T>(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Outcome<T>,
) -> Outcome<Option<T>> {
    let context = |source| Failure::sql(sql, source);
    let mut statement = connection.prepare_cached(sql).map_err(context)?;
    let mut rows = statement.query(params).map_err(context)?;
    match rows.next().map_err(context)? {
        Some(row) => read(&Row { row, table }).map(Some),
        None => Ok(None),
    }
}

/// Every row of a query, in its order.
pub(crate) fn all<T>(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Outcome<T>,
) -> Outcome<Vec<T>> {
    let context = |source| Failure::sql(sql, source);
    let mut statement = connection.prepare_cached(sql).map_err(context)?;
    let mut rows = statement.query(params).map_err(context)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(context)? {
        found.push(read(&Row { row, table })?);
    }
    Ok(found)
}

/// A statement that is run several times in a row.
pub(crate) struct Prepared<'c> {
    statement: CachedStatement<'c>,
    table: &'static str,
    sql: &'static str,
}

impl<'c> Prepared<'c> {
    pub(crate) fn new(
        connection: &'c Connection,
        table: &'static str,
        sql: &'static str,
    ) -> Outcome<Self> {
        Ok(Self {
            statement: connection
                .prepare_cached(sql)
                .map_err(|source| Failure::sql(sql, source))?,
            table,
            sql,
        })
    }

    /// Runs a statement that changes something; answers how many rows it changed.
    pub(crate) fn change(&mut self, params: impl Params) -> Outcome<usize> {
        let sql = self.sql;
        self.statement
            .execute(params)
            .map_err(|source| Failure::sql(sql, source))
    }

    /// The first row for these parameters that is read as something.
    pub(crate) fn find<T>(
        &mut self,
        params: impl Params,
        mut read: impl FnMut(&Row<'_>) -> Outcome<Option<T>>,
    ) -> Outcome<Option<T>> {
        let (table, sql) = (self.table, self.sql);
        let context = |source| Failure::sql(sql, source);
        let mut rows = self.statement.query(params).map_err(context)?;
        while let Some(row) = rows.next().map_err(context)? {
            if let Some(found) = read(&Row { row, table })? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Every row for these parameters, added to `found`.
    pub(crate) fn read_into<T>(
        &mut self,
        params: impl Params,
        found: &mut Vec<T>,
        mut read: impl FnMut(&Row<'_>) -> Outcome<T>,
    ) -> Outcome<()> {
        let (table, sql) = (self.table, self.sql);
        let context = |source| Failure::sql(sql, source);
        let mut rows = self.statement.query(params).map_err(context)?;
        while let Some(row) = rows.next().map_err(context)? {
            found.push(read(&Row { row, table })?);
        }
        Ok(())
    }
}

/// A row of a query on `table`.
pub(crate) struct Row<'a> {
    row: &'a rusqlite::Row<'a>,
    table: &'static str,
}

impl Row<'_> {
    /// The value of a column, or that the file is damaged there.
    pub(crate) fn get<T: FromSql>(&self, index: usize) -> Outcome<T> {
        self.row
            .get(index)
            .map_err(|_unreadable| self.corrupt(index))
    }

    /// A column that is damaged.
    pub(crate) fn corrupt(&self, index: usize) -> Failure {
        Failure::Corrupt {
            table: self.table,
            column: self
                .row
                .as_ref()
                .column_name(index)
                .map_or_else(|_| index.to_string(), str::to_owned),
        }
    }

    /// An identifier.
    pub(crate) fn id<T: Id>(&self, index: usize) -> Outcome<T> {
        self.get::<[u8; 16]>(index)
            .map(|bytes| T::from_bytes(Uuid::from_bytes(bytes)))
    }

    /// An identifier that may be missing.
    pub(crate) fn maybe_id<T: Id>(&self, index: usize) -> Outcome<Option<T>> {
        self.get::<Option<[u8; 16]>>(index)
            .map(|bytes| bytes.map(|bytes| T::from_bytes(Uuid::from_bytes(bytes))))
    }

    /// A number that cannot be negative.
    pub(crate) fn unsigned(&self, index: usize) -> Outcome<u64> {
        u64::try_from(self.get::<i64>(index)?).map_err(|_negative| self.corrupt(index))
    }

    /// The same, where it may be missing.
    pub(crate) fn maybe_unsigned(&self, index: usize) -> Outcome<Option<u64>> {
        match self.get::<Option<i64>>(index)? {
            Some(value) => u64::try_from(value)
                .map(Some)
                .map_err(|_negative| self.corrupt(index)),
            None => Ok(None),
        }
    }

    /// A small number that cannot be negative.
    pub(crate) fn small(&self, index: usize) -> Outcome<u32> {
        u32::try_from(self.get::<i64>(index)?).map_err(|_range| self.corrupt(index))
    }

    /// A point in time.
    pub(crate) fn time(&self, index: usize) -> Outcome<Timestamp> {
        self.get(index).map(Timestamp::from_millis)
    }

    /// A point in time that may be missing.
    pub(crate) fn maybe_time(&self, index: usize) -> Outcome<Option<Timestamp>> {
        self.get::<Option<i64>>(index)
            .map(|millis| millis.map(Timestamp::from_millis))
    }

    /// Text borrowed from the row.
    pub(crate) fn text(&self, index: usize) -> Outcome<&str> {
        self.row
            .get_ref(index)
            .ok()
            .and_then(|value| value.as_str().ok())
            .ok_or_else(|| self.corrupt(index))
    }

    /// Bytes borrowed from the row, where there may be none.
    pub(crate) fn maybe_bytes(&self, index: usize) -> Outcome<Option<&[u8]>> {
        self.row
            .get_ref(index)
            .ok()
            .and_then(|value| value.as_blob_or_null().ok())
            .ok_or_else(|| self.corrupt(index))
    }

    /// Bytes borrowed from the row.
    pub(crate) fn bytes(&self, index: usize) -> Outcome<&[u8]> {
        self.row
            .get_ref(index)
            .ok()
            .and_then(|value| value.as_blob().ok())
            .ok_or_else(|| self.corrupt(index))
    }

    /// A JSON value.
    pub(crate) fn json<T: DeserializeOwned>(&self, index: usize) -> Outcome<T> {
        serde_json::from_str(self.text(index)?).map_err(|_unreadable| self.corrupt(index))
    }

    /// A JSON value that may be missing.
    pub(crate) fn maybe_json<T: DeserializeOwned>(&self, index: usize) -> Outcome<Option<T>> {
        match self.get::<Option<String>>(index)? {
            Some(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|_unreadable| self.corrupt(index)),
            None => Ok(None),
        }
    }

    /// A word that stands for a variant, as [`word`] writes it.
    pub(crate) fn word<T: DeserializeOwned>(&self, index: usize) -> Outcome<T> {
        let text = serde_json::Value::String(self.text(index)?.to_owned());
        serde_json::from_value(text).map_err(|_unknown| self.corrupt(index))
    }
}

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Outcome<String> {
    serde_json::to_string(value).map_err(Failure::Encode)
}

/// A variant without data as its bare word.
pub(crate) fn word(value: &impl Serialize) -> Outcome<String> {
    match serde_json::to_value(value).map_err(Failure::Encode)? {
        serde_json::Value::String(word) => Ok(word),
        other => Ok(other.to_string()),
    }
}

/// The 64-bit hash under which long identifiers are found. What it finds is compared in full.
pub(crate) fn hash_of(bytes: &[u8]) -> i64 {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    first_bits(&digest)
}

/// The first 64 bits of what is a hash already.
pub(crate) fn first_bits(hash: &[u8; 32]) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// A count as a column takes it.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The identifiers of the domain, as 16 bytes.
pub(crate) trait Id: Sized {
    fn from_bytes(uuid: Uuid) -> Self;
    fn bytes(&self) -> &[u8; 16];
}

macro_rules! ids {
    ($($id:ty),*) => {$(
        impl Id for $id {
            fn from_bytes(uuid: Uuid) -> Self {
                Self::from_uuid(uuid)
            }

            fn bytes(&self) -> &[u8; 16] {
                self.as_uuid().as_bytes()
            }
        }
    )*};
}

ids!(
    AlertId,
    HolderId,
    JobId,
    LedgerId,
    MailboxId,
    OutboxId,
    PartyId,
    ProfileId,
    RecordId,
    postroom_core::OrganizationId
);
