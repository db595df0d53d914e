//! How the model's types stand in columns.

use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Database, Decode, Encode, Type, encode::IsNull, error::BoxDynError};

use crate::model::{
    ActionId, ArtifactId, AttemptId, AuditId, BundleId, CacheId, Context, DeliveryId, ForgeKind, JobId, PersonId,
    PlanDigest, ReportId, RepositoryId, RepositoryName, RunId, SecretLevel, SecretName, Sha, Time, TokenId,
};

/// A value that is kept as JSON in a TEXT column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T> std::ops::Deref for Json<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

/// A type that stands in a column as another type does.
macro_rules! stands_as {
    ($($type:ty as $column:ty: $write:expr, $read:expr;)*) => {$(
        impl<DB: Database> Type<DB> for $type where $column: Type<DB> {
            fn type_info() -> DB::TypeInfo { <$column as Type<DB>>::type_info() }
            fn compatible(ty: &DB::TypeInfo) -> bool { <$column as Type<DB>>::compatible(ty) }
        }
        impl<'q, DB: Database> Encode<'q, DB> for $type where $column: Encode<'q, DB> {
            fn encode_by_ref(&self, buf: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
                let write: fn(&$type) -> $column = $write;
                write(self).encode(buf)
            }
        }
        impl<'r, DB: Database> Decode<'r, DB> for $type where $column: Decode<'r, DB> {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
                let read: fn($column) -> Result<$type, BoxDynError> = $read;
                read(<$column as Decode<'r, DB>>::decode(value)?)
            }
        }
    )*};
}

stands_as! {
    Time as i64: |t| t.as_millis(), |ms| Ok(Time::from_millis(ms));
    DeliveryId as i64: |id| id.as_i64(), |id| Ok(DeliveryId::from_i64(id));
    RepositoryId as i64: |id| id.as_i64(), |id| Ok(RepositoryId::from_i64(id));
    RunId as i64: |id| id.as_i64(), |id| Ok(RunId::from_i64(id));
    ActionId as i64: |id| id.as_i64(), |id| Ok(ActionId::from_i64(id));
    AttemptId as i64: |id| id.as_i64(), |id| Ok(AttemptId::from_i64(id));
    JobId as i64: |id| id.as_i64(), |id| Ok(JobId::from_i64(id));
    BundleId as i64: |id| id.as_i64(), |id| Ok(BundleId::from_i64(id));
    ArtifactId as i64: |id| id.as_i64(), |id| Ok(ArtifactId::from_i64(id));
    CacheId as i64: |id| id.as_i64(), |id| Ok(CacheId::from_i64(id));
    PersonId as i64: |id| id.as_i64(), |id| Ok(PersonId::from_i64(id));
    TokenId as i64: |id| id.as_i64(), |id| Ok(TokenId::from_i64(id));
    AuditId as i64: |id| id.as_i64(), |id| Ok(AuditId::from_i64(id));
    ReportId as i64: |id| id.as_i64(), |id| Ok(ReportId::from_i64(id));
    Sha as String: |sha| sha.to_string(), |text| Ok(text.parse()?);
    RepositoryName as String: |name| name.to_string(), |text| Ok(text.parse()?);
    ForgeKind as String: |kind| kind.to_string(), |text| Ok(text.parse()?);
    Context as String: |context| context.0.clone(), |text| Ok(Context(text));
    SecretName as String: |name| name.to_string(), |text| Ok(text.parse()?);
    SecretLevel as String: |level| level.as_str().to_owned(), |text| Ok(text.parse()?);
    PlanDigest as String: |digest| digest.0.clone(), |text| Ok(PlanDigest(text));
}

impl<DB: Database, T> Type<DB> for Json<T>
where
    String: Type<DB>,
{
    fn type_info() -> DB::TypeInfo {
        <String as Type<DB>>::type_info()
    }
    fn compatible(ty: &DB::TypeInfo) -> bool {
        <String as Type<DB>>::compatible(ty)
    }
}

impl<'q, DB: Database, T: Serialize> Encode<'q, DB> for Json<T>
where
    String: Encode<'q, DB>,
{
    fn encode_by_ref(&self, buf: &mut DB::ArgumentBuffer) -> Result<IsNull, BoxDynError> {
        serde_json::to_string(&self.0)?.encode(buf)
    }
}

impl<'r, DB: Database, T: DeserializeOwned> Decode<'r, DB> for Json<T>
where
    String: Decode<'r, DB>,
{
    fn decode(value: DB::ValueRef<'r>) -> Result<Self, BoxDynError> {
        Ok(Self(serde_json::from_str(&<String as Decode<'r, DB>>::decode(value)?)?))
    }
}
