-- Asks for the path of the URL as 20 000 users in turn; the headers come from the command line. Tells what came of it
-- as one line of JSON: times in microseconds, percentiles of the latency by their number.

local UNITS = 20000
local requests, asked = {}, 0

function init()
  for unit = 1, UNITS do
    requests[unit] = wrk.format("GET", wrk.path .. "?unit=user-" .. unit)
  end
end

function request()
  asked = asked % UNITS + 1
  return requests[asked]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests": %d, "took_us": %d, "bytes": %d, "p50_us": %d, "p99_us": %d, "refused": %d, "broken": %d, "late": %d}',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write, errors.timeout
  ))
end
