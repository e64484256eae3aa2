// One host being asked: a state machine over a Link. It does no I/O of its own, reads no clock and
// knows no event loop; whoever drives it tells it the time, the addresses and what the socket is
// ready for, and reads back what it waits for.
//
//   kResting     between probes; the connection, if any, is kept, and its end is noticed
//   kResolving   the host's name is being looked up (only for names)
//   kConnecting  libpq connects and logs in
//   kSending     the query is on its way out
//   kReading     the answer is on its way in
//
// Begin() moves from kResting onwards; each other state ends in kResting with an Observation at the
// latest when the deadline passes (OnDeadline). A kept connection that turns out to be dead is
// replaced once within the same probe: a session that was ended while nobody looked says nothing
// about the server. Nor does a query that was cancelled: it is asked again, a few times. And one
// for which a right is missing is asked again without what takes it, once the rights were asked
// for; so they are first of all on a new connection, when some were missing on the last one.
//
// A connection that is too old is kept until a new one is made: a server that has no place for one
// more session just then, or hangs at the login, is asked on the old one. So is one whose name has
// come to mean another address; there the old one is given up after max_fails attempts.
//
// Of several addresses one is tried after the other, within the time of the one probe: none may
// hide the others, whether it refuses, shuts us out or stays silent.
//
// When there is no memory to go on with, the probe fails and the connection ends: to wait for the
// rest of what was half read would be to wait for ever.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "config/hosts.hpp"
#include "config/limits.hpp"
#include "probe/address_book.hpp"
#include "probe/link.hpp"
#include "probe/observation.hpp"
#include "probe/rights.hpp"

#include "base/cpp_only.hpp"

namespace pg_status {

class PeerProbe {
 public:
  enum class State : std::uint8_t { kResting, kResolving, kConnecting, kSending, kReading };

  // What the socket should be watched for. fd -1: nothing.
  struct Wants {
    int fd = -1;
    bool read = false;
    bool write = false;
  };

  PeerProbe(const HostEntry& entry, std::unique_ptr<Link> link);

  // Starts a probe; only while resting. A connection older than limits.conn_max_age_us is renewed;
  // where that cannot be done now, it is tried again after as long.
  // When the last probe ended in a time-out but the peer still holds our session, this one goes on
  // waiting for the same answer.
  void Begin(MonoUs now, const Limits& limits);

  // The name was looked up: its addresses, or an error when `addresses` is empty. Welcome in every
  // state: late addresses are remembered for the next connection. A kept connection to an address
  // that is not among them is renewed.
  void OnResolved(MonoUs now, std::vector<std::string> addresses, const std::string& error);

  // A name server answered that there is no such name, or no address for it. The old addresses
  // serve on until that was said max_fails times in a row; with them the connection ends.
  void OnNoSuchName(MonoUs now, const std::string& error);

  // That was said, and nothing else since: the name is to be looked up again soon.
  bool doubts_name() const { return book_.in_doubt(); }

  // The kept connection, if there is one, hides that the host lets nobody in any more: it ends now,
  // or with the probe that is under way, and the next probe makes a new one.
  void GiveUpSession();

  // The socket is readable or writable, as Wants() asked.
  void OnSocket(MonoUs now);

  // The deadline has passed.
  void OnDeadline(MonoUs now);

  State state() const { return state_; }
  Wants wants() const;
  MonoUs deadline() const { return deadline_; }  // 0 while resting
  bool needs_addresses() const { return state_ == State::kResolving; }

  // The finished probe's result, once.
  std::optional<Observation> TakeObservation();

  // For a trial beside the kept connection: a link like it, and the place that it leads to. nullptr
  // while there is no connection that is kept.
  std::unique_ptr<Link> LinkForTrial(Endpoint& where) const;
  MonoUs connected() const { return connected_; }  // when the kept connection was made

  // The kept connection ended while resting, or was given up because the server is stopping;
  // cleared by Begin(). A reason to ask again soon.
  bool lost_connection() const { return lost_connection_; }

 private:
  template <typename Move>
  void WithMemory(MonoUs now, Move move);
  void Proceed(MonoUs now, const Limits& limits);
  void GoOn(MonoUs now);
  void TimeIsUp(MonoUs now);
  void Connect(MonoUs now);
  void Renew(MonoUs now);
  bool MayFallBack(Outcome failed);
  bool FallBack(MonoUs now);
  void LetFormerGo();
  void Open(MonoUs now);
  void OpenCurrent(MonoUs now);
  bool GoOnToNextAddress(MonoUs now, const LinkFailure& failure);
  void CannotConnect(MonoUs now, const LinkFailure& failure);
  void AdvanceConnecting(MonoUs now, LinkStep step);
  void StartAsking(MonoUs now);
  bool AsksRecovery() const;
  bool DoWithout(const LinkFailure& failure);
  void AdvanceAsking(MonoUs now, LinkStep step);
  void FinishReading(MonoUs now);
  void Fail(MonoUs now, Outcome outcome, const std::string& error);
  bool Resume(MonoUs now);
  void GiveUpWaiting(MonoUs now, const std::string& error);
  void Finish(MonoUs now);
  bool HasSeveralAddresses() const { return book_.size() > 1; }

  const PlaceKind kind_;
  const std::string hostname_;
  const std::uint16_t port_;
  std::unique_ptr<Link> link_;
  std::unique_ptr<Link> former_;  // the connection that is being renewed; nullptr otherwise

  State state_ = State::kResting;
  LinkStep step_ = LinkStep::kDone;  // what the link waits for
  Observation current_;
  std::optional<Observation> finished_;
  MonoUs deadline_ = 0;
  MonoUs probe_deadline_ = 0;  // of the whole probe; deadline_ is sooner while resolving
  MonoUs connected_ = 0;       // when the kept connection was made
  bool kept_connection_ = false;
  bool lost_connection_ = false;
  bool keep_ = true;         // the connection, between two probes
  int resting_wakes_ = 0;    // since the last probe
  int repeats_ = 0;          // of the query, in this probe
  bool began_anew_ = false;  // in this probe, because the connection had ended
  // Of a server that does not know the view although its version says so: somebody stands between.
  int version_without_view_ = 0;
  Rights rights_;                  // on the connection that there is
  bool asks_rights_ = false;       // they are what is asked now
  bool asked_rights_ = false;      // in this probe
  std::uint64_t connections_ = 0;  // made, but for those that took the place of one let go by us
  bool let_go_ = false;            // the last one was
  // A session that did not answer in time and is waited for by the next probe: where that stands.
  State stalled_ = State::kResting;  // kResting: there is none
  LinkStep stalled_step_ = LinkStep::kDone;
  MonoUs stalled_asked_ = 0;
  MonoUs stalled_since_ = 0;
  std::int64_t stall_patience_us_ = 0;  // after this a new connection is made all the same
  AddressBook book_;
  MonoUs walk_deadline_ = 0;         // of connecting, whatever the number of addresses
  std::int64_t least_share_us_ = 0;  // of that, for each address
  LinkFailure telling_;              // of the failures of this walk the one that tells most
  bool tells_ = false;               // there is one
  bool give_up_ = false;             // the connection, when this probe ends
  bool moved_ = false;               // the name means other addresses than that of the connection
  int move_fails_ = 0;               // attempts to connect to these
  int max_fails_ = 1;
};

}  // namespace pg_status
