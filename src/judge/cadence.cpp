// When a host is to be asked again. Knows verdicts and intervals, not timers or sockets.
#include <algorithm>

#include "judge/judge.hpp"

namespace pg_status {
namespace {

// A host that does not answer is asked fast for this long after the last news, for the next ones
// are likely to be near: a failover takes seconds, and a minute when somebody waits for leases to
// run out. Later its interval grows with the silence.
constexpr std::int64_t kEagerForUs = 60 * kUsPerSecond;
constexpr std::int64_t kSilencePerInterval = 600;

// When all hosts are asked eagerly, no more than 2,000 of them a second.
constexpr std::int64_t kEagerUsPerHost = 500;

// Something is wrong that concerns everybody: the next primary may turn up at any host.
bool ClusterInDoubt(const ClusterVerdict& cluster, MonoUs started) {
  if (!cluster.primary || cluster.live_primaries > 1) return true;
  const HostVerdict& primary = cluster.hosts[*cluster.primary];
  // One that is full has just said that it runs; one that answers us, and lets nobody else in, is
  // a reason to hurry for as long as somebody may be about to do something.
  return primary.liveness == Liveness::kSuspect && primary.last_outcome != Outcome::kFull &&
         (primary.last_outcome != Outcome::kOk || started - primary.last_change < kEagerForUs);
}

// A healthy server has just ended our session, or cancelled our query: asking again at once clears
// it up. Only for the failure that made the host suspect, and not right after a success: a server
// that ends every session it gets must not be asked in an endless row without a pause.
bool FirstInterruption(const HostVerdict& host, const Limits& limits) {
  const bool interrupted =
      host.last_outcome == Outcome::kTerminated || host.last_outcome == Outcome::kCancelled;
  return interrupted && host.fails == 1 && host.last_change == host.last_check &&
         host.last_check - host.last_success >= limits.fast_poll_interval_us;
}

// A server that is full has enough to do at any time.
bool IsFull(const HostVerdict& host) { return host.last_outcome == Outcome::kFull; }

// Down, and each further attempt costs it a line of its log, or a name server a question.
bool LetsNobodyIn(const HostVerdict& host) {
  if (host.liveness != Liveness::kDown) return false;
  switch (host.last_outcome) {
    case Outcome::kStarting:
    case Outcome::kRejected:
    case Outcome::kGarbled:
    case Outcome::kUnresolved:
      return true;
    default:
      return false;
  }
}

// What is on its way is looked for sooner than what somebody has to mend.
constexpr std::int64_t kSilencePerPauseOnItsWay = 8;
constexpr std::int64_t kSilencePerPause = 2;

std::int64_t PauseOf(const HostVerdict& host, const Limits& limits, MonoUs started, MonoUs news) {
  const bool on_its_way =
      host.last_outcome == Outcome::kStarting || host.last_outcome == Outcome::kUnresolved;
  const MonoUs since = std::max({news, host.answers_so_since, host.vouched_since});
  const std::int64_t silence = std::max<std::int64_t>(started - since, 0);
  const std::int64_t wanted = silence / (on_its_way ? kSilencePerPauseOnItsWay : kSilencePerPause);
  return std::min(std::max(wanted, limits.poll_interval_us), LongestPause(limits));
}

// `interval`, or longer when nothing has happened for a while. It doubles instead of growing
// steadily, because turns of a changing interval are not spread.
std::int64_t SlowedDown(std::int64_t interval, std::int64_t silence_us, const Limits& limits) {
  if (silence_us > kEagerForUs) {
    const std::int64_t wanted = silence_us / kSilencePerInterval;
    while (interval < limits.poll_interval_us && 2 * interval <= wanted) interval *= 2;
  }
  return std::min(interval, limits.poll_interval_us);
}

// What speaks against a server settles within a few probes; what does not may go on for ever.
std::int64_t SuspectInterval(const HostVerdict& host, const Limits& limits, MonoUs started) {
  if (IsEvidence(host.last_outcome)) {
    return std::min(limits.fast_poll_interval_us, limits.poll_interval_us);
  }
  return SlowedDown(limits.fast_poll_interval_us, started - host.last_change, limits);
}

// Of all hosts, while the cluster is in doubt.
std::int64_t EagerInterval(std::size_t hosts, const Limits& limits, std::int64_t silence_us) {
  const auto bearable = static_cast<std::int64_t>(hosts) * kEagerUsPerHost;
  return SlowedDown(std::max(limits.fast_poll_interval_us, bearable), silence_us, limits);
}

// Timers keep time to a millisecond, so a probe may start a little before its turn. That is not to
// be taken for a probe long before its turn, which would be due at once.
constexpr std::int64_t kTimerStepUs = 2 * kUsPerMs;

// Where in a span of time host `index` has its place when all are spread evenly over it. A few of
// them share a place, where there are many: to get up for each would cost more than to ask.
constexpr std::int64_t kPlaceUs = 10 * kUsPerMs;

std::int64_t Place(std::int64_t span, std::size_t index, std::size_t hosts) {
  const std::int64_t place =
      span * static_cast<std::int64_t>(index) / static_cast<std::int64_t>(hosts);
  return place - place % kPlaceUs;
}

// Hosts take turns, evenly spread over the interval: the last turn of one of them that is not later
// than `latest`. Turns do not depend on when the host was asked before, so nothing drifts.
MonoUs TurnUpTo(MonoUs latest, std::int64_t interval, std::size_t index, std::size_t hosts) {
  if (interval <= 0) return latest;
  const std::int64_t since = (latest - Place(interval, index, hosts)) % interval;
  return latest - (since < 0 ? since + interval : since);
}

}  // namespace

MonoUs NextProbe(const ClusterVerdict& cluster, std::size_t index, const Limits& limits,
                 MonoUs started, MonoUs ended, MonoUs news) {
  const HostVerdict& host = cluster.hosts[index];
  if (started == 0 || FirstInterruption(host, limits)) return ended;
  const bool answers = host.last_outcome == Outcome::kOk;
  if (host.liveness == Liveness::kSuspect && !answers && !IsFull(host)) {
    return std::max(started + SuspectInterval(host, limits, started), ended);
  }
  const bool spared = LetsNobodyIn(host);
  const std::int64_t pause = spared ? PauseOf(host, limits, started, news) : 0;
  if (pause > limits.poll_interval_us) return std::max(started + pause, ended);
  const std::size_t hosts = cluster.hosts.size();
  const bool eager = ClusterInDoubt(cluster, started) && !spared && !IsFull(host);
  // Whoever lives may be promoted at any moment, and costs next to nothing to ask.
  const std::int64_t silence = IsLive(host) ? 0 : started - news;
  const std::int64_t interval =
      eager ? EagerInterval(hosts, limits, silence) : limits.poll_interval_us;
  const MonoUs turn = TurnUpTo(started + interval + kTimerStepUs, interval, index, hosts);
  if (turn >= ended) return turn;
  // The probe outlasted the turn. Of many such probes the next ones are spread over what is left.
  const std::int64_t left = started + interval - ended;
  return left > 0 ? ended + Place(left, index, hosts) : ended;
}

std::int64_t LongestPause(const Limits& limits) {
  constexpr std::int64_t kLongestUs = 60 * kUsPerSecond;
  return std::max(kLongestUs, limits.poll_interval_us);
}

MonoUs SessionTurn(std::size_t index, std::size_t hosts, MonoUs now) {
  constexpr std::int64_t kIntervalUs = 9 * kUsPerSecond;
  constexpr std::int64_t kUsPerHost = 100 * kUsPerMs;
  const auto bearable = static_cast<std::int64_t>(hosts) * kUsPerHost;
  return TurnUpTo(now, std::max(kIntervalUs, bearable), index, hosts);
}

std::int64_t ConnectionAge(std::size_t index, std::size_t hosts, const Limits& limits) {
  const std::int64_t half = limits.conn_max_age_us / 2;
  const auto share = static_cast<double>(index + 1) / static_cast<double>(hosts);
  return limits.conn_max_age_us - half +
         static_cast<std::int64_t>(static_cast<double>(half) * share);
}

MonoUs LastNews(const ClusterVerdict& cluster) {
  MonoUs last = 0;
  for (const HostVerdict& host : cluster.hosts) last = std::max(last, host.last_change);
  return last;
}

}  // namespace pg_status
