use sqlx::{PgPool, postgres::PgTransaction};

use crate::{
    StorageError,
    error::{Answered as _, failed},
};

/// Begins a transaction, for writes that belong together. Nothing of it is stored unless it is [committed](commit).
///
/// # Errors
/// When the database is lost.
pub async fn begin(pool: &PgPool) -> Result<PgTransaction<'static>, StorageError> {
    pool.begin()
        .answered()
        .await
        .map_err(failed("begin a transaction"))
}

/// Commits a transaction.
///
/// # Errors
/// When the database is lost; then nothing of it is stored, unless the database was lost just after it.
pub async fn commit(transaction: PgTransaction<'_>) -> Result<(), StorageError> {
    transaction
        .commit()
        .answered()
        .await
        .map_err(failed("commit a transaction"))
}
