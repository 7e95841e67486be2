use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    MlflowError, MlflowSettings,
    card::{Metric, Pair},
};

/// The experiment of all models.
pub(crate) const EXPERIMENT: &str = "tandem";

/// How long the server may take to accept a connection, and to answer one request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(60);

/// Most of each in one request, by MLflow's rules.
const PARAMETERS: usize = 100;
const METRICS: usize = 800;
const TAGS: usize = 100;

/// What a refusal shows of an answer that is not MLflow's, in characters.
const LONGEST_MESSAGE: usize = 300;

/// An MLflow server's REST API, as much of it as the export needs.
#[derive(Clone, Debug)]
pub struct Mlflow {
    client: Client,
    settings: MlflowSettings,
}

/// A run, as the server tells of it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) info: RunInfo,
    #[serde(default)]
    pub(crate) data: RunData,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RunInfo {
    pub(crate) run_id: String,
    pub(crate) artifact_uri: String,
    pub(crate) status: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct RunData {
    #[serde(default)]
    pub(crate) tags: Vec<Pair>,
}

impl Mlflow {
    /// Prepares the way. Connects to nothing yet.
    ///
    /// # Errors
    /// [`MlflowError::Client`] when the system's certificates cannot be used.
    pub fn new(settings: MlflowSettings) -> Result<Self, MlflowError> {
        let client = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(MlflowError::Client)?;
        Ok(Self { client, settings })
    }

    /// The experiment's id; it is made when it is not there.
    pub(crate) async fn experiment(&self) -> Result<String, MlflowError> {
        #[derive(Deserialize)]
        struct Created {
            experiment_id: String,
        }
        #[derive(Deserialize)]
        struct Found {
            experiment: Experiment,
        }
        #[derive(Deserialize)]
        struct Experiment {
            experiment_id: String,
            #[serde(default)]
            lifecycle_stage: String,
        }
        let query = [("experiment_name", EXPERIMENT)];
        let found = self
            .get::<Found>(
                "find the experiment tandem",
                "experiments/get-by-name",
                &query,
            )
            .await;
        match found {
            Ok(Found { experiment }) if experiment.lifecycle_stage == "deleted" => {
                Err(MlflowError::Deleted { name: EXPERIMENT })
            }
            Ok(Found { experiment }) => Ok(experiment.experiment_id),
            Err(error) if error.is_refusal("RESOURCE_DOES_NOT_EXIST") => {
                let body = json!({ "name": EXPERIMENT });
                let created: Created = self
                    .post("make the experiment tandem", "experiments/create", &body)
                    .await?;
                Ok(created.experiment_id)
            }
            Err(error) => Err(error),
        }
    }

    /// All runs of the experiment that are not deleted.
    pub(crate) async fn runs(&self, experiment_id: &str) -> Result<Vec<Run>, MlflowError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            runs: Vec<Run>,
            next_page_token: Option<String>,
        }
        let mut runs = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let body = json!({
                "experiment_ids": [experiment_id],
                "run_view_type": "ACTIVE_ONLY",
                "max_results": 1_000,
                "page_token": token,
            });
            let page: Page = self.post("list the runs", "runs/search", &body).await?;
            runs.extend(page.runs);
            match page.next_page_token {
                Some(next) if !next.is_empty() => token = Some(next),
                _ => return Ok(runs),
            }
        }
    }

    /// Begins a run; times in milliseconds since the epoch.
    pub(crate) async fn begin(
        &self,
        experiment_id: &str,
        name: &str,
        start_ms: i64,
        tags: &[Pair],
    ) -> Result<Run, MlflowError> {
        #[derive(Deserialize)]
        struct Created {
            run: Run,
        }
        let body = json!({
            "experiment_id": experiment_id,
            "run_name": name,
            "start_time": start_ms,
            "tags": tags,
        });
        let action = format!("begin the run of {name}");
        let created: Created = self.post(action, "runs/create", &body).await?;
        Ok(created.run)
    }

    /// Adds to a run; what it has already stays as it is.
    pub(crate) async fn log(
        &self,
        run_id: &str,
        parameters: &[Pair],
        metrics: &[Metric],
        tags: &[Pair],
    ) -> Result<(), MlflowError> {
        let batches = parameters
            .len()
            .div_ceil(PARAMETERS)
            .max(metrics.len().div_ceil(METRICS))
            .max(tags.len().div_ceil(TAGS));
        for batch in 0..batches {
            let body = json!({
                "run_id": run_id,
                "params": part(parameters, batch, PARAMETERS),
                "metrics": part(metrics, batch, METRICS),
                "tags": part(tags, batch, TAGS),
            });
            let _: Value = self
                .post("log figures of a run", "runs/log-batch", &body)
                .await?;
        }
        Ok(())
    }

    /// Stores a file of a run, or replaces it.
    pub(crate) async fn upload(
        &self,
        run: &RunInfo,
        name: &str,
        bytes: Vec<u8>,
    ) -> Result<(), MlflowError> {
        let folder = proxied(&run.artifact_uri)?;
        let address = self.address(&format!("mlflow-artifacts/artifacts/{folder}/{name}"));
        let request = self.client.put(address).body(bytes);
        self.send(&format!("store the artifact {name}"), request)
            .await?;
        Ok(())
    }

    /// Marks a run as complete; time in milliseconds since the epoch.
    pub(crate) async fn finish(&self, run_id: &str, end_ms: i64) -> Result<(), MlflowError> {
        let body = json!({ "run_id": run_id, "status": "FINISHED", "end_time": end_ms });
        let _: Value = self.post("finish a run", "runs/update", &body).await?;
        Ok(())
    }

    /// The version of a registered model that belongs to a run, if there is one.
    pub(crate) async fn version(
        &self,
        model: &str,
        run_id: &str,
    ) -> Result<Option<String>, MlflowError> {
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            model_versions: Vec<Version>,
        }
        let filter = format!("name='{model}' and run_id='{run_id}'");
        let action = format!("look for the version of {model}");
        let query = [("filter", filter.as_str())];
        let page: Page = self.get(action, "model-versions/search", &query).await?;
        Ok(page
            .model_versions
            .into_iter()
            .next()
            .map(|found| found.version))
    }

    /// Makes a version of a registered model, and the model when it is not there.
    pub(crate) async fn register(
        &self,
        model: &str,
        run: &RunInfo,
        tags: &[Pair],
    ) -> Result<String, MlflowError> {
        #[derive(Deserialize)]
        struct Created {
            model_version: Version,
        }
        let action = format!("register a version of {model}");
        let created: Result<Value, MlflowError> = self
            .post(
                action.as_str(),
                "registered-models/create",
                &json!({ "name": model }),
            )
            .await;
        match created {
            Err(error) if !error.is_refusal("RESOURCE_ALREADY_EXISTS") => return Err(error),
            _ => (),
        }
        let body = json!({
            "name": model,
            "source": run.artifact_uri,
            "run_id": run.run_id,
            "tags": tags,
        });
        let created: Created = self.post(action, "model-versions/create", &body).await?;
        Ok(created.model_version.version)
    }

    /// Lets an alias of a registered model name this version.
    pub(crate) async fn set_alias(
        &self,
        model: &str,
        alias: &str,
        version: &str,
    ) -> Result<(), MlflowError> {
        let body = json!({ "name": model, "alias": alias, "version": version });
        let action = format!("let {alias} of {model} be version {version}");
        let _: Value = self.post(action, "registered-models/alias", &body).await?;
        Ok(())
    }

    /// Takes an alias away, if it is there.
    pub(crate) async fn clear_alias(&self, model: &str, alias: &str) -> Result<(), MlflowError> {
        let action = format!("take {alias} of {model} away");
        let body = json!({ "name": model, "alias": alias });
        let address = self.address("mlflow/registered-models/alias");
        let request = self.client.request(Method::DELETE, address).json(&body);
        match self.send(&action, request).await {
            Err(error) if !error.is_refusal("RESOURCE_DOES_NOT_EXIST") => Err(error),
            _ => Ok(()),
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        action: impl AsRef<str>,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, MlflowError> {
        let request = self
            .client
            .get(self.address(&format!("mlflow/{path}")))
            .query(query);
        self.answer(action.as_ref(), request).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        action: impl AsRef<str>,
        path: &str,
        body: &Value,
    ) -> Result<T, MlflowError> {
        let request = self
            .client
            .post(self.address(&format!("mlflow/{path}")))
            .json(body);
        self.answer(action.as_ref(), request).await
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        action: &str,
        request: RequestBuilder,
    ) -> Result<T, MlflowError> {
        let response = self.send(action, request).await?;
        response
            .json()
            .await
            .map_err(|source| self.no_answer(action, source))
    }

    /// Sends a request, and makes an error of an answer that says no.
    async fn send(&self, action: &str, request: RequestBuilder) -> Result<Response, MlflowError> {
        #[derive(Deserialize)]
        struct Refusal {
            error_code: String,
            message: String,
        }
        let signed = self.settings.login.sign(request);
        let response = signed
            .send()
            .await
            .map_err(|source| self.no_answer(action, source))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.unwrap_or_default();
        let (code, message) = match serde_json::from_str(&text) {
            Ok(Refusal {
                error_code,
                message,
            }) => (error_code, message),
            Err(_) => (String::new(), text),
        };
        Err(MlflowError::Refused {
            action: action.to_owned(),
            status,
            code,
            message: message.chars().take(LONGEST_MESSAGE).collect(),
        })
    }

    fn no_answer(&self, action: &str, source: reqwest::Error) -> MlflowError {
        MlflowError::NoAnswer {
            action: action.to_owned(),
            server: self.settings.server.to_string(),
            source: source.without_url(),
        }
    }

    fn address(&self, path: &str) -> String {
        let server: &Url = &self.settings.server;
        format!("{}/api/2.0/{path}", server.as_str().trim_end_matches('/'))
    }
}

#[derive(Debug, Deserialize)]
struct Version {
    version: String,
}

/// A batch of what goes into several requests; the last ones may be empty.
fn part<T>(all: &[T], batch: usize, length: usize) -> &[T] {
    all.chunks(length).nth(batch).unwrap_or_default()
}

/// The folder of a run's artifacts below the server's own, if the server passes artifacts on.
fn proxied(artifact_uri: &str) -> Result<&str, MlflowError> {
    artifact_uri
        .strip_prefix("mlflow-artifacts:")
        // With a host, the artifacts are another server's.
        .filter(|rest| !rest.starts_with("//") || rest.starts_with("///"))
        .map(|rest| rest.trim_matches('/'))
        .ok_or_else(|| MlflowError::Artifacts {
            uri: artifact_uri.to_owned(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_go_where_the_server_passes_them_on() {
        assert_eq!(
            proxied("mlflow-artifacts:/1/ab/artifacts").unwrap(),
            "1/ab/artifacts"
        );
        assert_eq!(
            proxied("mlflow-artifacts:///1/ab/artifacts").unwrap(),
            "1/ab/artifacts"
        );
        for uri in [
            "s3://bucket/1/ab",
            "file:///mlruns/1",
            "mlflow-artifacts://other:5000/1",
        ] {
            assert!(proxied(uri).unwrap_err().to_string().contains(uri));
        }
    }

    #[test]
    fn batches_are_cut_as_the_server_wants_them() {
        let all: Vec<u32> = (0..250).collect();
        assert_eq!(part(&all, 2, 100), (200..250).collect::<Vec<_>>());
        assert_eq!(part(&all, 3, 100), Vec::<u32>::new());
    }
}
