# The commands of data sets with the transfer of version 2; large files, a folder there and back, links.
. "$(dirname "$0")/../../aws_cli/scenarios/shared/checks.sh"
bucket=cli2-dogs
mkdir -p dogImages/train/001.Affenpinscher
for number in 1 2 3; do echo "$number" > "dogImages/train/001.Affenpinscher/Affenpinscher_0000$number.jpg"; done
head -c 20000000 /dev/urandom > large.bin
aws s3 mb s3://$bucket
aws s3 cp dogImages s3://$bucket/dogImages --recursive --no-progress
aws s3 cp large.bin s3://$bucket/ --no-progress
same "$(aws s3 sync dogImages s3://$bucket/dogImages)" ""
aws s3 sync s3://$bucket back --no-progress
diff -r dogImages back/dogImages
cmp large.bin back/large.bin
same "$(curl --silent --show-error --fail "$(aws s3 presign s3://$bucket/dogImages/train/001.Affenpinscher/Affenpinscher_00001.jpg)")" 1
aws s3 mv s3://$bucket/large.bin s3://$bucket/archive/ --no-progress
has "$(aws s3 ls s3://$bucket --recursive --human-readable --summarize)" "19.1 MiB archive/large.bin"
has "$(aws s3 rb s3://$bucket --force)" "remove_bucket: $bucket"
