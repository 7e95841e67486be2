//! What the macros of sqlx need to know.

fn main() {
    // `migrate!` embeds the migrations; a new file among them has to rebuild the crate.
    println!("cargo::rerun-if-changed=../../migrations");
    // `query!` would ask any database that DATABASE_URL happens to name. The committed `.sqlx` answers instead,
    // unless scripts/sqlx-prepare says otherwise.
    println!("cargo::rerun-if-env-changed=SQLX_OFFLINE");
    if std::env::var_os("SQLX_OFFLINE").is_none() {
        println!("cargo::rustc-env=SQLX_OFFLINE=true");
    }
}
