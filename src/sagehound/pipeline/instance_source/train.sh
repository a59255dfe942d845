# What a person would type on this instance, from fetching the data to shutting down. The lines above say what this
# run is: REGION BUCKET CODE_KEY DATA_PREFIX DATA_ARCHIVE RESULT_PREFIX PROGRAM INSTANCE_TYPE LIMIT_SECONDS and
# the array ARGUMENTS.
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
  case "$DATA_ARCHIVE" in
    s3://*) python3 transfer.py get "$DATA_ARCHIVE" data.zip ;;
    *) wget -nv -O data.zip "$DATA_ARCHIVE" ;;
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
  begins fetch
  say "fetches ${DATA_ARCHIVE:-s3://$BUCKET/$DATA_PREFIX}"
  if [ -n "$DATA_ARCHIVE" ]; then
    fetch_archive
    python3 transfer.py get "s3://$BUCKET/$CODE_KEY" sourcedir.tar.gz
  else
    python3 transfer.py get "s3://$BUCKET/$DATA_PREFIX" dogImages "s3://$BUCKET/$CODE_KEY" sourcedir.tar.gz
  fi
  mkdir -p TrainedModels output solution
  tar -xzf sourcedir.tar.gz -C solution
  if [ -f solution/requirements.txt ]; then
    begins install
    say "installs requirements.txt"
    python3 -m pip install --quiet --requirement solution/requirements.txt
  fi
  begins train
  say "trains: python3 $PROGRAM $*"
  export SM_CHANNEL_TRAINING="$PWD/dogImages" SM_MODEL_DIR="$PWD/TrainedModels" SM_OUTPUT_DATA_DIR="$PWD/output"
  python3 "solution/$PROGRAM" "$@"
  begins upload
  say "uploads TrainedModels to s3://$BUCKET/$RESULT_PREFIX"
  tar -cf - -C TrainedModels . | gzip -1 >model.tar.gz
  python3 transfer.py put "s3://$BUCKET/$RESULT_PREFIX" TrainedModels output model.tar.gz
}

say "begins"
mkdir -p "$WORK" && cd "$WORK" || say "cannot make $WORK"
begins start
write_transfer >transfer.py
activate_pytorch
export -f say begins fetch_archive work
# Whatever hangs, the instance ends: it costs money until it does.
began=$SECONDS
timeout --kill-after=60 "$LIMIT_SECONDS" bash -c 'work "$@"' work "${ARGUMENTS[@]}"
status=$?
begins end
if [ "$status" -ne 0 ] && [ $((SECONDS - began)) -ge "$LIMIT_SECONDS" ]; then
  say "was ended after $LIMIT_SECONDS seconds"
elif [ "$status" -eq 137 ]; then
  say "was killed, as a program is that needs more memory than $INSTANCE_TYPE has"
fi
# Written last: where it lies, all else does.
python3 transfer.py outcome "s3://$BUCKET/${RESULT_PREFIX}outcome.json" "$status" phases "$INSTANCE_TYPE" ||
  say "could not write the outcome"
say "ends with status $status"
shutdown -h now
