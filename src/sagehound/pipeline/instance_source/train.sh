# What a person would type on this instance, from fetching the data to shutting down. The lines above say what this
# run is: REGION BUCKET CODE_KEY DATA_PREFIX DATA_ARCHIVE RESULT_PREFIX PROGRAM LIMIT_SECONDS and the array ARGUMENTS.
export HOME="${HOME:-/root}" PYTHONUNBUFFERED=1 AWS_DEFAULT_REGION="$REGION"
export AWS_METADATA_SERVICE_TIMEOUT=5 AWS_METADATA_SERVICE_NUM_ATTEMPTS=5
export WORK="$HOME/$RUN"

say() { echo "sagehound: $*"; }

# begins PHASE: the time at which it begins, for the run's outcome.
begins() { echo "$1 $(date +%s.%N)" >>phases; }

# Newer Deep Learning AMIs have one virtual environment, older ones Conda with an environment of this name.
activate_pytorch() {
  if [ -f /opt/pytorch/bin/activate ]; then
    source /opt/pytorch/bin/activate
  else
    PATH="$PATH:/opt/conda/bin"
    source activate PyTorch || source activate pytorch
  fi
}

fetch_archive() {
  say "fetches $DATA_ARCHIVE"
  case "$DATA_ARCHIVE" in
    s3://*) python3 transfer.py get "$DATA_ARCHIVE" data.zip ;;
    *) wget --no-verbose --tries=3 -O data.zip "$DATA_ARCHIVE" ;;
  esac
  unzip -q data.zip -d unzipped
  rm data.zip
  # Whatever the archive's own folder is called: the data are where train/ is.
  local train
  train=$(find unzipped -maxdepth 4 -type d -name train -not -path '*/__MACOSX/*' -print -quit)
  if [ -z "$train" ]; then
    say "the archive has no folder train/"
    return 1
  fi
  mv "$(dirname "$train")" dogImages
}

work() {
  set -e -o pipefail
  python3 -c 'import boto3' 2>/dev/null || python3 -m pip install --quiet boto3
  begins fetch
  if [ -n "$DATA_ARCHIVE" ]; then
    fetch_archive
  else
    say "fetches s3://$BUCKET/$DATA_PREFIX"
    python3 transfer.py fetch "s3://$BUCKET/$DATA_PREFIX" dogImages
  fi
  mkdir -p TrainedModels output solution
  python3 transfer.py get "s3://$BUCKET/$CODE_KEY" sourcedir.tar.gz
  tar -xzf sourcedir.tar.gz -C solution
  if [ -f solution/requirements.txt ]; then
    begins install
    python3 -m pip install --quiet --requirement solution/requirements.txt
  fi
  begins train
  say "trains: python3 $PROGRAM $*"
  export SM_CHANNEL_TRAINING="$PWD/dogImages" SM_MODEL_DIR="$PWD/TrainedModels" SM_OUTPUT_DATA_DIR="$PWD/output"
  python3 "solution/$PROGRAM" "$@"
  begins upload
  tar -czf model.tar.gz -C TrainedModels .
  say "uploads TrainedModels to s3://$BUCKET/$RESULT_PREFIX"
  python3 transfer.py send TrainedModels "s3://$BUCKET/${RESULT_PREFIX}TrainedModels/"
  python3 transfer.py send output "s3://$BUCKET/${RESULT_PREFIX}output/"
  python3 transfer.py put model.tar.gz "s3://$BUCKET/${RESULT_PREFIX}model.tar.gz"
}

say "begins"
mkdir -p "$WORK" && cd "$WORK" || say "cannot make $WORK"
begins start
write_transfer >transfer.py
activate_pytorch
export -f say begins fetch_archive work
# Whatever hangs, the instance ends: it costs money until it does.
timeout --kill-after=60 "$LIMIT_SECONDS" bash -c 'work "$@"' work "${ARGUMENTS[@]}"
status=$?
begins end
if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then say "was ended after $LIMIT_SECONDS seconds"; fi
# Written last: where it lies, all else does.
python3 transfer.py outcome "$status" phases "s3://$BUCKET/${RESULT_PREFIX}outcome.json" ||
  say "could not write the outcome"
say "ends with status $status"
shutdown -h now
