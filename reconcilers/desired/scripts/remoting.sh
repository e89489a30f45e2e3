# Asks a RocketMQ server one question, with bash alone. Sourced by the other scripts.
#
# The remoting protocol in plain text: frames of 4 bytes total length, 1 byte kind of header (0:
# JSON), 3 bytes header length, header, body. bash cannot limit the time of a connect: who asks
# somebody who may be away does it in a process of its own and ends that.
export LC_ALL=C # a character is a byte
READ_TIMEOUT_S=2

# read_byte: one byte of the connection into $byte; `read` ends at the delimiter NUL, which is 0.
read_byte() {
  local char
  IFS= read -r -d '' -n 1 -t "$READ_TIMEOUT_S" char <&3 || return 1
  if [ -z "$char" ]; then byte=0; else printf -v byte %d "'$char"; fi
  byte=$((byte & 255))
}

# read_number BYTES: a big-endian number into $number.
read_number() {
  local i
  number=0
  for ((i = 0; i < $1; i++)); do
    read_byte || return 1
    number=$((number << 8 | byte))
  done
}

# ask HOST PORT CODE: sends a request without parameters; the answer's code in $code. What is left to
# read is its body, of $body_length bytes. Returns 1 when there is no answer.
ask() {
  local header lengths total header_length kind i raw=''
  printf -v header '{"code":%d,"language":"OTHER","version":0,"opaque":1,"flag":0}' "$3"
  { exec 3<>"/dev/tcp/$1/$2"; } 2>/dev/null || return 1
  # The lengths are below 256: three NULs and a byte each. One write sends all.
  printf -v lengths '\\x00\\x00\\x00\\x%02x' $((${#header} + 4)) ${#header}
  printf '%b%s' "$lengths" "$header" >&3
  read_number 4 && total=$number && read_number 1 && kind=$number && read_number 3 || return 1
  header_length=$number
  code=-1
  if [ "$kind" = 0 ]; then
    IFS= read -r -N "$header_length" -t "$READ_TIMEOUT_S" raw <&3 || return 1
    [[ $raw =~ \"code\":(-?[0-9]+) ]] && code=${BASH_REMATCH[1]}
  else # the binary header begins with the code
    read_number 2 && code=$number
    for ((i = 2; i < header_length; i++)); do read_byte || return 1; done
  fi
  body_length=$((total - 4 - header_length))
}
