//! The program itself, started as `nightly` starts it.

use std::process::Command;

use domain::ModelKind::Lstm;
use service_kit::ReplayClock;
use sqlx::ConnectOptions;
use storage::PgPool;

use crate::world::{HONEST, WRONG, World};

const SETTINGS: &str = r#"
[universe]
tickers = [
  { ticker = "AAPL", name = "Apple", sector = "Technology" },
  { ticker = "MSFT", name = "Microsoft", sector = "Technology" },
]

[validation]
resamples = 500
"#;

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn it_works_by_the_market_clock_and_the_night_it_is_told(pool: PgPool) {
    let world = World::new(&pool).await;
    let old = world.write_model(Lstm, "lstm-old", WRONG, 9);
    let new = world.write_model(Lstm, "lstm-new", HONEST, 7);
    world.promote(Lstm, &old, world.close(8)).await;
    let night = world.night_of_run(1).await;
    std::fs::write(world.path("tandem.toml"), SETTINGS).unwrap();
    let clock = ReplayClock {
        // A day late: the session after the night's has closed too.
        origin: world.night(0).as_of,
        speed: 1.0,
        started: None,
    };
    clock.write(&world.path("clock.json")).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_validator"))
            .args(arguments)
            .env(
                "DATABASE_URL",
                pool.connect_options().to_url_lossy().to_string(),
            )
            .env("TANDEM_CONFIG", world.path("tandem.toml"))
            .env("TANDEM_CLOCK", world.path("clock.json"))
            .env("TANDEM_MODELS_DIR", &world.places.models_dir)
            .env("TANDEM_MODEL_CONFIG", world.places.champions.path())
            .env("TANDEM_NIGHTS_DIR", &world.places.nights)
            .env("TANDEM_RUN_ID", night.run_id.unwrap().to_string())
            .env("TANDEM_NIGHT", night.session.date.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let (code, said) = run(&["--challenger", "lstm-9"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is no model lstm-9"), "{said}");

    let (code, said) = run(&["--kind", "lstm"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(world.record(Lstm).champion, new);
    let reports = world.reports().await;
    assert_eq!(
        (reports[0].run_id, reports[0].night),
        (night.run_id, night.session.date)
    );
    let compared = &reports[0].report["outcome"]["compared"];
    assert_eq!(compared["sessions"], 6, "up to the night's session");
    assert_eq!(compared["settings"]["resamples"], 500);
    world.page(&night, "validation");
}
