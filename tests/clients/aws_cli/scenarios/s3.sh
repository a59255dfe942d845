# Buckets and objects, as people move data sets: mb, cp, sync, ls, mv, rm, rb, presign; s3api.
. "$(dirname "$0")/shared/checks.sh"
bucket=cli-dogs
mkdir -p dogImages/train/001.Affenpinscher dogImages/valid/001.Affenpinscher "dogImages/test/002.Afghan hound"
for split in train valid; do
  for number in 1 2 3; do echo "$split $number" > "dogImages/$split/001.Affenpinscher/Affenpinscher_0000$number.jpg"; done
done
echo woof > "dogImages/test/002.Afghan hound/Afghan & hound +1 ü.jpg"
head -c 20000000 /dev/urandom > large.bin
echo hello > hello.txt

same "$(aws s3 mb s3://$bucket)" "make_bucket: $bucket"
has "$(aws s3 ls)" " $bucket"
has "$(aws s3 cp hello.txt s3://$bucket/)" "upload: ./hello.txt to s3://$bucket/hello.txt"
same "$(aws s3 cp s3://$bucket/hello.txt -)" hello
echo "from a pipe" | aws s3 cp - s3://$bucket/piped.txt
same "$(aws s3 cp s3://$bucket/piped.txt -)" "from a pipe"
same "$(aws s3 cp dogImages s3://$bucket/dogImages --recursive --no-progress | grep -c 'upload: ')" 7
same "$(aws s3 sync dogImages s3://$bucket/dogImages)" ""
echo new > dogImages/train/001.Affenpinscher/Affenpinscher_00004.jpg
same "$(aws s3 sync dogImages s3://$bucket/dogImages | grep -c 'upload: ')" 1
rm dogImages/train/001.Affenpinscher/Affenpinscher_00001.jpg
has "$(aws s3 sync dogImages s3://$bucket/dogImages --delete)" "delete: s3://$bucket/dogImages/train/001.Affenpinscher/Affenpinscher_00001.jpg"
aws s3 sync s3://$bucket/dogImages back --quiet
diff -r dogImages back

aws s3 cp large.bin s3://$bucket/large.bin --no-progress
aws s3 cp s3://$bucket/large.bin large.back --no-progress
cmp large.bin large.back
has "$(aws s3 ls s3://$bucket/dogImages/)" "PRE test/"
listed=$(aws s3 ls s3://$bucket --recursive --human-readable --summarize)
has "$listed" "19.1 MiB large.bin"
has "$listed" "Total Objects: 10"
has "$listed" "Afghan & hound +1 ü.jpg"
same "$(aws s3 ls s3://$bucket/dogImages/ --recursive | wc -l)" 7

has "$(aws s3 mv s3://$bucket/hello.txt s3://$bucket/greetings/hello.txt)" "move: s3://$bucket/hello.txt to s3://$bucket/greetings/hello.txt"
refused "An error occurred (404) when calling the HeadObject operation: Key \"hello.txt\" does not exist" aws s3 cp s3://$bucket/hello.txt .
has "$(aws s3 rm s3://$bucket/dogImages --recursive --exclude '*' --include 'dogImages/valid/*' --include 'valid/*')" "delete: s3://$bucket/dogImages/valid/001.Affenpinscher/Affenpinscher_00003.jpg"
same "$(aws s3 ls s3://$bucket/dogImages/ --recursive | wc -l)" 4

url=$(aws s3 presign s3://$bucket/greetings/hello.txt --expires-in 60)
has "$url" "amazonaws.com/"
same "$(curl --silent --show-error --fail "$url")" hello
same "$(curl --silent --output /dev/null --write-out '%{http_code}' "${url%?}")" 403
refused "403" curl --silent --show-error --fail "https://$bucket.s3.amazonaws.com/greetings/hello.txt"

same "$(aws s3api head-object --bucket $bucket --key greetings/hello.txt --query '[ContentLength, ContentType]' --output text)" "6	text/plain"
same "$(aws s3api list-objects-v2 --bucket $bucket --query 'Contents[?Size > `1000000`].Key' --output text)" large.bin
same "$(aws s3api list-objects-v2 --bucket $bucket --page-size 2 --query 'length(Contents)')" 7
same "$(aws s3api get-bucket-location --bucket $bucket --query LocationConstraint --output text)" None
cat > policy.json <<JSON
{"Version": "2012-10-17", "Statement": [{"Sid": "OnlyTls", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject",
  "Resource": "arn:aws:s3:::$bucket/greetings/*"}]}
JSON
aws s3api put-bucket-policy --bucket $bucket --policy file://policy.json
has "$(aws s3api get-bucket-policy --bucket $bucket --query Policy --output text)" OnlyTls
refused AccessDenied aws s3 rm s3://$bucket/greetings/hello.txt
refused BucketNotEmpty aws s3 rb s3://$bucket
aws s3api delete-bucket-policy --bucket $bucket
has "$(aws s3 rb s3://$bucket --force)" "remove_bucket: $bucket"
refused "NoSuchBucket" aws s3 ls s3://$bucket
