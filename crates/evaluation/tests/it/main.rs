mod comparison;
mod golden;
mod page;
mod synthetic;
