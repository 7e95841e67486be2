/// Bars cannot be taken in. What the vendor does wrong is no such error: it is logged, counted and tried again.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A setting is out of range.
    #[error(transparent)]
    Settings(#[from] domain::InvalidSettings),
    /// The database is lost or refuses.
    #[error(transparent)]
    Storage(#[from] storage::StorageError),
}
