# scikit-learn on tables, one command a line.
# stdin:  {"train": {"columns": {name: [cells]}}, "test": the same, "target": name, "task": "regression" | "classification",
#          "model": "linear" | "forest" | "boosting" | "process"}
#      -> {"seconds": fit and prediction, "processor": seconds of all cores, "mean": [], "sd": []} or
#         {"seconds", "processor", "classes": [], "probabilities": [[]]},
#         or {"error": reason}
# Numbers are standardised, their gaps the mean; texts are one-hot. A regressor without a deviation of its own has that of its
# residuals in a cross-validation of 5 folds.
import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
import sklearn
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

warnings.filterwarnings("ignore")
MISSING = ["", "NA", "NaN", "nan", "?", "null"]
MOST_ROWS = 2000


def frame(part, target):
    table = pd.DataFrame(part["columns"]).replace(MISSING, np.nan)
    for name in table.columns:
        numbers = pd.to_numeric(table[name], errors="coerce")
        if numbers.notna().sum() == table[name].notna().sum():
            table[name] = numbers
            continue
        dates = pd.to_datetime(table[name], errors="coerce", format="%Y-%m-%d")
        if name != target and dates.notna().sum() == table[name].notna().sum():
            table[name] = (dates - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    return table


def model_of(name, task, inputs, rows):
    numbers = task == "regression"
    if name == "linear":
        if numbers:
            return RidgeCV(alphas=np.logspace(-3, 3, 25))
        return LogisticRegressionCV(Cs=8, cv=3, scoring="neg_log_loss", max_iter=1000)
    if name == "forest":
        kind = RandomForestRegressor if numbers else RandomForestClassifier
        return kind(n_estimators=300, random_state=0)
    if name == "boosting":
        kind = HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier
        return kind(random_state=0)
    if rows > MOST_ROWS:
        raise ValueError(f"a Gaussian process of more than {MOST_ROWS} rows takes too long")
    if not numbers:
        return GaussianProcessClassifier(ConstantKernel(1.0) * RBF(np.sqrt(inputs)), random_state=0)
    kernel = ConstantKernel(1.0) * RBF(np.full(inputs, np.sqrt(inputs)), (1e-2, 1e4)) + WhiteKernel(0.1)
    return GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)


def times(start, before):
    return {"seconds": time.perf_counter() - start, "processor": time.process_time() - before}


def run(command):
    target, task = command["target"], command["task"]
    train, test = frame(command["train"], target), frame(command["test"], target)
    y = train.pop(target)
    test = test.drop(columns=[target])
    names = list(train.columns)
    texts = [name for name in names if train[name].dtype == object]
    numbers = [name for name in names if name not in texts and train[name].notna().any()]
    for name in texts:
        test[name] = test[name].astype(object)
    encode = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (
            make_pipeline(
                SimpleImputer(strategy="constant", fill_value="missing"), OneHotEncoder(handle_unknown="ignore", sparse=False)
            ),
            texts,
        ),
    )
    start, before = time.perf_counter(), time.process_time()
    x = encode.fit_transform(train)
    at = encode.transform(test)
    model = model_of(command["model"], task, x.shape[1], len(y))
    if task == "classification":
        y = y.astype(str)
        model.fit(x, y)
        p = model.predict_proba(at)
        return {**times(start, before), "classes": list(model.classes_), "probabilities": p.tolist()}
    y = y.to_numpy(dtype=float)
    if command["model"] == "process":
        model.fit(x, y)
        mean, sd = model.predict(at, return_std=True)
    else:
        folds = KFold(5, shuffle=True, random_state=0)
        residuals = y - cross_val_predict(model, x, y, cv=folds)
        mean = model.fit(x, y).predict(at)
        sd = np.full(len(mean), np.sqrt(np.mean(residuals**2)))
    return {**times(start, before), "mean": mean.tolist(), "sd": sd.tolist()}


print(json.dumps({"ready": f"scikit-learn {sklearn.__version__}"}), flush=True)
for line in sys.stdin:
    try:
        answer = run(json.loads(line))
    except Exception as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
