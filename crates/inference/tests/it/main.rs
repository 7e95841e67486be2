//! Models from exported files: what they compute, what is refused, how they are replaced.

mod corrupt;
mod live;
mod loading;
mod parity;
