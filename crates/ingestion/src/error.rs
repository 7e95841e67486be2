/// Bars cannot be taken in. What the vendor does wrong is no such error: it is logged, counted and tried again.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// A setting is out of range.
    #[error("[{section}] {field} = {value} cannot be used: expected {expected}")]
    Setting {
        /// Section of the settings.
        section: &'static str,
        /// Name of the field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// The database is lost or refuses.
    #[error(transparent)]
    Storage(#[from] storage::StorageError),
}
