//! Checks of the whole workspace, and of the research commands as a person calls them.

mod architecture;
