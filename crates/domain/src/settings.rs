use std::fmt;

use serde::de::DeserializeOwned;

/// A section of the settings file, which can tell whether it can be used.
pub trait SettingsSection: DeserializeOwned {
    /// Its name, as it stands between the brackets.
    const SECTION: &'static str;

    /// Finds every field that cannot be used.
    ///
    /// # Errors
    /// [`InvalidSettings`] names them.
    fn check(&self) -> Result<(), InvalidSettings>;
}

/// A field of the settings that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[{section}] {field} = {value} cannot be used: expected {expected}")]
pub struct InvalidSetting {
    /// Name of its section.
    pub section: &'static str,
    /// Name of the field.
    pub field: &'static str,
    /// What it is set to.
    pub value: String,
    /// What would do.
    pub expected: String,
}

/// The fields of a section that cannot be used; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidSettings(pub Vec<InvalidSetting>);

impl fmt::Display for InvalidSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, setting) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{setting}")?;
        }
        Ok(())
    }
}

/// Gathers what is wrong with a section.
#[derive(Debug)]
pub struct SettingsCheck {
    section: &'static str,
    found: Vec<InvalidSetting>,
}

impl SettingsCheck {
    /// Begins with a section.
    pub const fn new(section: &'static str) -> Self {
        Self {
            section,
            found: Vec::new(),
        }
    }

    /// Notes a field whose value cannot be used.
    #[must_use]
    pub fn field(
        mut self,
        field: &'static str,
        value: impl fmt::Display,
        can_be_used: bool,
        expected: impl Into<String>,
    ) -> Self {
        if !can_be_used {
            self.found.push(InvalidSetting {
                section: self.section,
                field,
                value: value.to_string(),
                expected: expected.into(),
            });
        }
        self
    }

    /// Notes a number that lies outside its range; NaN lies outside all.
    #[must_use]
    pub fn number(self, field: &'static str, value: f64, least: f64, most: f64) -> Self {
        let inside = (least..=most).contains(&value);
        self.field(field, value, inside, format!("{least} to {most}"))
    }

    /// Notes a whole number that lies outside its range.
    #[must_use]
    pub fn count(self, field: &'static str, value: impl Into<u64>, least: u64, most: u64) -> Self {
        let value = value.into();
        let inside = (least..=most).contains(&value);
        self.field(field, value, inside, format!("{least} to {most}"))
    }

    /// Notes a size that lies outside its range.
    #[must_use]
    pub fn size(self, field: &'static str, value: usize, least: usize, most: usize) -> Self {
        let inside = (least..=most).contains(&value);
        self.field(field, value, inside, format!("{least} to {most}"))
    }

    /// Ends the check.
    ///
    /// # Errors
    /// When anything was noted.
    pub fn end(self) -> Result<(), InvalidSettings> {
        if self.found.is_empty() {
            Ok(())
        } else {
            Err(InvalidSettings(self.found))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_cannot_be_used_is_named() {
        let check = || SettingsCheck::new("ingest");
        check()
            .number("rate", 0.5, 0.0, 1.0)
            .count("days", 3_u32, 1, 30)
            .end()
            .unwrap();
        let error = check()
            .number("rate", f64::NAN, 0.0, 1.0)
            .count("days", 0_u32, 1, 30)
            .size("batch", 9, 1, 9)
            .field("ratio", 2, false, "less than days")
            .end()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "[ingest] rate = NaN cannot be used: expected 0 to 1; \
             [ingest] days = 0 cannot be used: expected 1 to 30; \
             [ingest] ratio = 2 cannot be used: expected less than days"
        );
    }
}
