-- One request with a running number in it, the last two digits of which are the account's; at the end the figures as
-- one line of JSON. Arguments: the file with the request, the first number, how many there are (0: without end).
local first, count, sent, pieces

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local text = file:read("*a")
  file:close()
  first, count, sent = tonumber(args[2]), tonumber(args[3]), 0
  -- Pieces that alternate with what is filled in.
  pieces = {}
  local position = 1
  while true do
    local start = text:find("00000000", position, true)
    local other = text:find("@@", position, true)
    if not start and not other then break end
    if not start or (other and other < start) then
      pieces[#pieces + 1] = {text:sub(position, other - 1), "%02d", 100}
      position = other + 2
    else
      pieces[#pieces + 1] = {text:sub(position, start - 1), "%08d", 100000000}
      position = start + 8
    end
  end
  pieces[#pieces + 1] = {text:sub(position)}
end

function request()
  local number = first + sent
  sent = sent + 1
  if count > 0 and sent == count then sent = 0 end
  local parts = {}
  for i = 1, #pieces do
    local piece = pieces[i]
    parts[#parts + 1] = piece[1]
    if piece[2] then parts[#parts + 1] = string.format(piece[2], number % piece[3]) end
  end
  return table.concat(parts)
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "p50_us": %d, "p99_us": %d, "connect": %d, '
      .. '"read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
